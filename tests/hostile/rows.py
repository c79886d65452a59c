"""Which tests hold which threat: by row, what the tests of this folder do and where the others are."""

from __future__ import annotations

from tests.hostile import kind

HERE = ("hostile/test_files.py::test_a_hostile_file_is_refused_and_nothing_else_is_opened",)
AUDIT = (
    "hostile/test_audit.py::test_nothing_is_run_imported_or_opened",
    "hostile/test_audit.py::test_no_module_is_imported_for_a_file",
    "hostile/test_audit.py::test_only_the_process_of_the_library_is_started",
    "hostile/test_audit.py::test_the_process_of_the_library_opens_the_file_and_nothing_else",
)
ROWS: dict[str, tuple[str, ...]] = {
    kind.CODE: (
        *HERE, *AUDIT, "convert/test_read.py::test_code_in_a_file_is_never_run_or_imported",
        "convert/test_bounds.py::test_a_strangers_class_of_a_known_name_is_not_taken_for_it",
        "checkpoint/test_hostile.py::test_no_other_file_is_opened_and_no_code_runs",
    ),
    kind.READS: (
        *HERE, *AUDIT, "convert/test_read.py::test_layer_names_are_never_paths_of_the_file_system",
        "convert/test_containers.py::test_shards_lie_beside_their_index",
        "checkpoint/test_sidecar.py::test_names_that_are_not_bare_are_refused",
        "checkpoint/test_sidecar.py::test_a_symbolic_link_is_refused",
    ),
    kind.LINKS: (
        *HERE, "hostile/test_files.py::test_hdf5_itself_would_open_what_they_name",
        "convert/test_read.py::test_hostile_datasets_are_refused_before_any_data_is_read",
    ),
    kind.BOMBS: (
        *HERE, "hostile/test_files.py::test_bombs_take_no_memory_here_or_in_the_process_of_the_library",
        "hostile/test_files.py::test_a_text_that_is_there_4000_times_takes_no_gigabytes",
        "convert/test_hdf5_process.py::test_all_weights_together_are_bounded",
        "convert/test_bounds.py::test_models_in_models_cannot_multiply_without_end",
        "checkpoint/test_hostile.py::test_a_bomb_that_agrees_with_itself_is_refused",
    ),
    kind.CYCLES: (*HERE, "convert/test_containers.py::test_groups_that_form_a_circle_are_refused"),
    kind.FILTERS: (*HERE, "hostile/test_plugins.py::test_no_plugin_is_looked_for"),
    kind.CRASHES: (
        *HERE, "hostile/test_mutations.py::test_mutations_are_refused_or_change_nothing",
        "convert/test_hdf5_process.py::test_a_process_that_dies_or_lies_is_a_typed_error",
        "convert/test_hdf5_process.py::test_a_process_that_hangs_is_ended_in_time",
        "convert/test_read.py::test_every_truncation_of_an_h5_file_ends_in_a_typed_error",
    ),
    kind.ZIP: (*HERE, "convert/test_read.py::test_every_flipped_bit_of_a_configuration_is_found_by_the_zip_checksum"),
    kind.JSON: (
        *HERE, "convert/test_read.py::test_hostile_configurations_end_in_one_typed_error",
        "checkpoint/test_hostile.py::test_hostile_json_is_refused",
        "checkpoint/test_hostile.py::test_the_largest_structure_is_bounded_in_time_and_memory",
    ),
    kind.BASE64: (
        *HERE, "checkpoint/test_hostile.py::test_no_bit_flip_is_silent",
        "checkpoint/test_hostile.py::test_unused_bits_of_base64_are_refused",
        "checkpoint/test_sidecar.py::test_hostile_sidecars_are_refused",
        "checkpoint/test_sidecar.py::test_every_flip_and_every_truncation_is_found",
    ),
    kind.NPY: (
        *HERE, "test_npy.py::test_everything_else_is_refused_at_once",
        "test_npy.py::test_every_truncation_is_refused",
    ),
    "tampered parameters": (
        "checkpoint/test_hostile.py::test_tampering_is_refused_with_its_place",
        "checkpoint/test_hostile.py::test_resealed_random_values_give_typed_errors_and_no_other_weights",
        "checkpoint/test_check.py::test_resealed_random_values_give_typed_errors",
    ),
    "the kernel cache": (
        "test_cache.py::test_a_damaged_entry_is_compiled_again_and_replaced",
        "test_cache.py::test_a_folder_that_others_may_write_into_is_not_used",
    ),
}  # fmt: skip
