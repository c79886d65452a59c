"""Changes of layout in a plan."""

from __future__ import annotations

from jit_kernels.blocked import layout
from keydnn.plan.route import Operation
from keydnn.plan.step import PARALLEL_NUMBERS, Launch, described, strides
from keydnn.plan.values import Blocked, Plain, Storage


def convert(operation: Operation, threads: int) -> list[Launch]:
    """Give the calls that copy a value from one layout to the other; none where the memory is the same."""
    (source,), target = operation.inputs, operation.out
    inward = isinstance(target, Blocked)
    blocked, plain = (target, source) if inward else (source, target)
    assert isinstance(blocked, Blocked)
    assert isinstance(plain, Plain)
    if operation.is_same_memory:
        return []
    batch, channels, height, width = blocked.sizes
    threads = threads if plain.size >= PARALLEL_NUMBERS else 1
    image, channel, row, step, examples, example = operation.strides
    images = batch // examples
    batch = images
    if blocked.storage.one_pixel:  # the images lie side by side, as pixels of one row
        batch, width, step = 1, images, image
    kernel = layout.to_blocked_f32 if inward else layout.from_blocked_f32
    launches = []
    for number in range(examples):
        place = strides("blocked", blocked)
        place["blocked"] += number * images * place["blocked_image"]
        description = described(
            layout.FIELDS, batch=batch, channels=channels, rows=height, width=width,
            plain=plain.start + number * example, plain_image=image, plain_channel=channel, plain_row=row,
            plain_step=step, blocked_step=blocked.storage.lanes, threads=threads, **place,
        )  # fmt: skip
        launches.append(Launch(kernel, (description,), threads > 1))
    return launches


def zero_halo(storage: Storage) -> Launch:
    """Give the call that writes a storage's halo."""
    top, bottom, left, right = storage.halo
    description = described(
        layout.HALO_FIELDS, batch=storage.batch, blocks=storage.blocks, rows=storage.height, width=storage.width,
        top=top, bottom=bottom, left=left, right=right, x=storage.start, image=storage.image, block=storage.block,
        row=storage.row, step=storage.lanes,
    )  # fmt: skip
    return Launch(layout.zero_halo_f32, (description,), False)
