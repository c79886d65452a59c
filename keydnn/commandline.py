"""From the words typed to Fire's call of a verb, without Fire's traps.

Fire reads ``2024`` as a number, ``None`` as None and ``--strict=no`` as true, takes a flag's name for the value of the
flag before it, and complains of unknown words only after the work is done.  So every word is checked against the verb's
signature here, first, and Fire then gets nothing but ``--name=value`` of which each value stays the text typed.
"""

from __future__ import annotations

import difflib
import inspect
import io
import keyword
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import fire
from fire.core import FireExit
from fire.decorators import SetParseFn

from keydnn import cli
from keydnn.arguments import Bytes
from keydnn.errors import KeyDNNError, UsageError

HELP = {"-h", "--help", "help"}
REAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?([eE][+-]?[0-9]{1,2})?", re.ASCII)  # 1e99 at most: never infinite


def main() -> None:
    """Run the command line; exit status 0 done, 1 the work failed, 2 wrong usage, 130 interrupted."""
    sys.exit(execute(sys.argv[1:]))


def execute(words: Sequence[str]) -> int:
    """Run one command and give its exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as standard error: names may hold bytes that are no text
    words = list(words)
    end = words.index("--") if "--" in words else len(words)
    debug = "--debug" in words[:end]
    words = [word for place, word in enumerate(words) if word != "--debug" or place > end]
    try:
        _dispatch(words)
        sys.stdout.flush()
    except UsageError as error:
        return _complain(error, debug, 2)
    except KeyDNNError as error:
        return _complain(error, debug, 1)
    except KeyboardInterrupt:
        print("keydnn: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe has gone; nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except FireExit as stop:
        return int(stop.code)
    except Exception as error:
        message = f"internal error: {type(error).__name__}: {' '.join(str(error).split())[:300]}; --debug shows where"
        return _complain(KeyDNNError(message), debug, 1)
    return 0


def _complain(error: KeyDNNError, debug: bool, status: int) -> int:
    if debug:
        sys.excepthook(type(error), error, error.__traceback__)
    print(f"keydnn: {type(error).__name__}: {error}" if status == 1 else f"keydnn: {error}", file=sys.stderr)
    return status


def _dispatch(words: list[str]) -> None:
    if not words or words[0] in HELP:
        print(_overview())
        return
    verb = cli.VERBS.get(words[0])
    if verb is None:
        raise UsageError(f"unknown command {words[0]!r}{_nearest(words[0], cli.VERBS)}; keydnn --help lists them")
    if any(word in HELP for word in words[1:] if word != "help"):
        print(_help(words[0], verb))
        return
    values = bind(words[0], verb, words[1:])
    fire.Fire(_as_fire_wants(verb), command=values, name=f"keydnn {words[0]}")


def _as_fire_wants(verb: Callable[..., None]) -> Callable[..., None]:
    """Give the verb as Fire calls it: every argument text, made what its annotation says here."""
    hints = typing.get_type_hints(verb)

    @SetParseFn(str)  # type: ignore[untyped-decorator]  # fire carries no types
    def call(**texts: str) -> None:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        for name, parameter in inspect.signature(verb).parameters.items():
            several = [_value(name, text, hints[name]) for text in _several(name, texts)]
            if parameter.kind is parameter.VAR_POSITIONAL:
                positional += several
            elif several:
                named[name] = tuple(several)
            elif name in texts and parameter.kind is parameter.POSITIONAL_OR_KEYWORD and _has_rest(verb):
                positional.append(_value(name, texts[name], hints[name]))
            elif name in texts:
                named[name] = _value(name, texts[name], hints[name])
        verb(*positional, **named)

    return call  # type: ignore[no-any-return]  # SetParseFn gives back what it was given


def _several(name: str, texts: dict[str, str]) -> list[str]:
    """Give the values of a parameter that takes several."""
    found: list[str] = []
    while f"{name}_{len(found)}" in texts:
        found.append(texts[f"{name}_{len(found)}"])
    return found


def _has_rest(verb: Callable[..., None]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(verb).parameters.values())


# --- words -> --name=value --------------------------------------------------------------------------------------------


def bind(name: str, verb: Callable[..., None], words: Sequence[str]) -> list[str]:
    """Check words against a verb's signature and write each as ``--name=value``.

    Raises
    ------
    UsageError
        An unknown flag, a flag without its value, a value of the wrong kind, a word too many or too few.
    """
    parameters = inspect.signature(verb).parameters
    hints = typing.get_type_hints(verb)
    texts: dict[str, str] = {}
    loose: list[str] = []
    place = 0
    while place < len(words):
        word = words[place]
        place += 1
        if word == "--":
            loose += words[place:]
            break
        if not word.startswith("--"):
            if word.startswith("-") and len(word) > 1 and not word[1].isdigit():
                raise UsageError(
                    f"unknown flag {word}; keydnn {name} --help lists them (a name that starts with - goes after --)"
                )
            loose.append(word)
            continue
        flag, equals, text = word[2:].partition("=")
        key, negated = _parameter(name, flag, parameters, hints)
        if key in texts:
            raise UsageError(f"--{flag} is given twice")
        if _is_flag(hints[key]):
            if not equals and place < len(words) and words[place].lower() in ("true", "false") and not negated:
                text, place = words[place], place + 1
            elif not equals:
                text = "false" if negated else "true"
            elif negated:
                raise UsageError(f"--{flag} takes no value")
        elif not equals:
            if place == len(words) or words[place].startswith("--"):
                raise UsageError(f"--{flag} needs a value: --{flag}=VALUE")
            text, place = words[place], place + 1
        _value(key, text, hints[key])
        texts[f"{key}_{len(_several(key, texts))}" if _takes_several(hints[key]) else key] = text
    _bind_loose(name, verb, loose, texts)
    return [f"--{key}={text}" for key, text in texts.items()]


def _bind_loose(name: str, verb: Callable[..., None], loose: list[str], texts: dict[str, str]) -> None:
    """Give words without a flag to the parameters in their order."""
    parameters, hints = inspect.signature(verb).parameters, typing.get_type_hints(verb)
    for key, parameter in parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            texts.update({f"{key}_{place}": word for place, word in enumerate(loose)})
            loose = []
        elif parameter.default is parameter.empty and not {key, f"{key}_0"} & texts.keys() and loose:
            texts[f"{key}_0" if _takes_several(hints[key]) else key] = loose.pop(0)
    if loose:
        several = [
            f"--{_dashes(key)} A --{_dashes(key)} B"
            for key in parameters
            if _takes_several(hints[key]) and key in ("input", "inputs")
        ]
        raise UsageError(
            f"{name} has no use for {' '.join(map(repr, loose))}; keydnn {name} --help shows what it takes"
            f"{f' (several files: {several[0]})' if several else ''}"
        )
    missing = [
        key
        for key, p in parameters.items()
        if p.default is p.empty and p.kind is not p.VAR_POSITIONAL and not {key, f"{key}_0"} & texts.keys()
    ]
    if missing:
        raise UsageError(
            f"{name} needs {', '.join('--' + _dashes(key) for key in missing)}; keydnn {name} --help shows how"
        )


def _parameter(name: str, flag: str, parameters: Any, hints: dict[str, Any]) -> tuple[str, bool]:
    """Give the parameter that a flag means, and whether it is negated (``--nostrict``)."""
    key = flag.replace("-", "_")
    key += "_" if keyword.iskeyword(key) else ""
    if key in parameters and parameters[key].kind is not inspect.Parameter.VAR_POSITIONAL:
        return key, False
    for prefix in ("no_", "no"):
        rest = key.removeprefix(prefix)
        if rest != key and _is_flag(hints.get(rest)):
            return rest, True
    known = [_dashes(key) for key, p in parameters.items() if p.kind is not p.VAR_POSITIONAL]
    known += [f"no{_dashes(key)}" for key, p in parameters.items() if _is_flag(hints[key]) and p.default is not False]
    raise UsageError(f"{name} has no flag --{flag}{_nearest(flag, known, '--')}; keydnn {name} --help lists them")


def _value(key: str, text: str, hint: Any) -> Any:
    """Make a text what a parameter's annotation says; UsageError if it cannot be."""
    flag = f"--{_dashes(key)}"
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        (hint,) = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    if _takes_several(hint):
        hint = typing.get_args(hint)[0]
    if _is_literal(hint):
        choices = typing.get_args(hint)
        if text not in choices:
            raise UsageError(f"{flag} must be {' or '.join(filter(None, choices))}, got {text!r}")
        return text
    if hint is bool:
        if text.lower() not in ("true", "false"):
            raise UsageError(f"{flag} must be true or false, got {text!r}")
        return text.lower() == "true"
    if hint is int:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
            raise UsageError(f"{flag} must be a whole number, got {text!r}")
        return int(text)
    if hint is Bytes:
        try:
            return Bytes.read(text)
        except ValueError as error:
            raise UsageError(f"{flag} must be {error}, as in 4GiB, got {text!r}") from None
    if hint is str:
        return text
    if hint is float:
        if not REAL.fullmatch(text):
            raise UsageError(f"{flag} must be a number, got {text!r}")
        return float(text)
    if not text:
        raise UsageError(f"{flag} must not be empty")
    return Path(text)


def _takes_several(hint: Any) -> bool:
    """Tell whether a flag may be given several times, for one value each."""
    return typing.get_origin(hint) is tuple


def _is_flag(hint: Any) -> bool:
    """Tell whether a flag needs no value; ``bool | None`` has a third state where it is not given."""
    return hint is bool or hint == bool | None


def _is_literal(hint: Any) -> bool:
    return typing.get_origin(hint) is Literal


def _dashes(key: str) -> str:
    """Give a parameter's name as a flag; one that would be a word of Python's has an underscore behind it."""
    return key.rstrip("_").replace("_", "-")


def _nearest(word: str, known: Any, prefix: str = "") -> str:
    found = difflib.get_close_matches(word, list(known), 1)
    return f" (did you mean {prefix}{found[0]}?)" if found else ""


# --- help -------------------------------------------------------------------------------------------------------------


def _overview() -> str:
    lines = ["keydnn: opens Keras files without Keras, and runs them", "", "usage: keydnn COMMAND ...", ""]
    lines += [f"  {name:<9}{(verb.__doc__ or '').splitlines()[0]}" for name, verb in cli.VERBS.items()]
    return "\n".join([*lines, "", "keydnn COMMAND --help says more; --debug shows the traceback of an error."])


def _help(name: str, verb: Callable[..., None]) -> str:
    doc = inspect.getdoc(verb) or ""
    words = []
    hints = typing.get_type_hints(verb)
    for key, p in inspect.signature(verb).parameters.items():
        if p.kind is p.VAR_POSITIONAL:
            words.append(f"{key.upper()}...")
        elif p.default is p.empty:
            words.append(f"[--{_dashes(key)}] {key.upper()}")
        elif _is_flag(hints[key]):
            either = f"--{_dashes(key)}|" if p.default is None else ""
            words.append(f"[{either}--{'' if p.default is False else 'no'}{_dashes(key)}]")
        else:
            choices = "|".join(filter(None, map(str, typing.get_args(hints[key])))) if _is_literal(hints[key]) else ""
            more = " ..." if _takes_several(hints[key]) else ""
            words.append(f"[--{_dashes(key)}={choices or p.default or _dashes(key).upper()}{more}]")
        doc = doc.replace(f"\n    {key}: ", f"\n    {_dashes(key)}: ")
    return f"usage: keydnn {name} {' '.join(words)}\n\n{doc}"
