"""Scorers that run here, in the command's own process: functions in the project's Python files, Ragas, DeepEval.

Never in the server: what they import and what they do is the user's own affair. A call that throws, hangs or answers
nonsense costs its own score and is named with its line; the others go on. What they print goes to stderr.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import inspect
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from rondo.cli.own_costs import counting
from rondo.datasets.model import Example
from rondo.errors import SettingsError
from rondo.evals.model import MOST_USD, Answer, Case, Result, Scored
from rondo.evals.scorers.model import Unscorable
from rondo.evals.scorers.own import AdaptedOptions, DeepEvalOptions, OwnOptions, PythonOptions, RagasOptions
from rondo.evals.scorers.registry import checked, lined, own_settings, version_of
from rondo.settings import own_code
from rondo.settings.evaluating import ScorerSettings
from rondo.settings.suites import project_file
from rondo.settings.table import nearest

PARAMETERS = ("question", "answer", "expected", "case")
MOST_STUCK = 3
"""Calls that may hang, of one scorer, before it is given up: their threads cannot be ended."""

_LONGEST_REASON = 500

Say = Callable[[Case], Awaitable[Any]]
"""Whatever a scorer returns for a case. Raises anything."""

Place = tuple[int, str, int]
"""A result's target, example and repeat."""


class Gateway(NamedTuple):
    """Where Ragas and DeepEval find their models: the server's address, and a key."""

    url: str
    key: str


class NotThere(Exception):
    """A package or a metric is missing; `option` is the one that names it."""

    def __init__(self, message: str, *, option: str = "") -> None:
        super().__init__(message)
        self.option = option


class OwnScorer:
    """Ready to run. `version` covers its options, a package's version among them, and its file with what that imports.

    A call takes the scorer's `turn`: calls of plain functions must wait for each other, others need not. A scorer whose
    calls hang is given up.
    """

    def __init__(
        self,
        *,
        name: str,
        version: str,
        options: OwnOptions,
        say: Say,
        where: Callable[[BaseException], str],
        alone: bool = False,
    ) -> None:
        """`where` tells an error with its line."""
        self.name = name
        self.version = version
        self._options = options
        self._say = say
        self._where = where
        self.turn = asyncio.Lock() if alone else contextlib.nullcontext()
        self._stuck = 0

    async def score(self, case: Case) -> Scored:
        if self._stuck >= MOST_STUCK:
            return Scored(error="timeout", reason=f"Given up: {MOST_STUCK} calls did not end in time.")
        with counting() as paid:
            scored = await self._scored(case)
        return structs.replace(scored, cost_usd=scored.cost_usd + sum(paid)) if paid else scored

    async def _scored(self, case: Case) -> Scored:
        try:
            said = await asyncio.wait_for(self._say(case), self._options.timeout_s)
            return lined(read(said, self._options), self._options)
        except TimeoutError:
            self._stuck += 1
            return Scored(error="timeout", reason=f"It did not end within {self._options.timeout_s:g} s.")
        except Unscorable as why:
            return Scored(error=why.code, reason=str(why))
        except Exception as error:  # the user's code; its error is its score's
            return Scored(error="scorer_failed", reason=self._where(error)[:_LONGEST_REASON])


def load(
    project: Path, settings: Sequence[ScorerSettings], *, gateway: Gateway | None = None, file: str = "suite"
) -> list[OwnScorer]:
    """A suite's scorers that run here, in order; the others are passed over. `file` is the suite's.

    Raises SettingsError for a file, function, package or metric that is not there, or cannot be loaded.
    """
    found = []
    for at, each in enumerate(settings):
        key = f"scorers[{at}]"
        if not own_settings([each], file=file):
            continue
        options = checked(each, file=file, key=key)
        assert isinstance(options, OwnOptions)
        found.append(_load(project, options, gateway, file=file, key=key))
    return found


def _load(project: Path, options: OwnOptions, gateway: Gateway | None, *, file: str, key: str) -> OwnScorer:
    name = options.name or options.kind
    if isinstance(options, PythonOptions):
        return _load_python(project, options, name, file=file, key=key)
    if gateway is None:
        raise SettingsError(
            f"`{options.kind}` asks its model through a server.",
            file=file,
            param=key,
            remedy="Start one with `rondo up`, and run this again beside it.",
        )
    try:
        say = _adapted(options, gateway)
    except NotThere as error:
        raise SettingsError(str(error), file=file, param=f"{key}.{error.option}" if error.option else key) from None
    return OwnScorer(name=name, version=version_of(options), options=options, say=say, where=_said)


def _adapted(options: OwnOptions, gateway: Gateway) -> Say:
    """The scorer. Raises NotThere, also where its package has another version than the suite's."""
    if isinstance(options, RagasOptions):
        from rondo.cli import own_ragas

        return own_ragas.load(options, gateway)
    from rondo.cli import own_deepeval

    assert isinstance(options, DeepEvalOptions)
    return own_deepeval.load(options, gateway)


def require_version(options: AdaptedOptions, installed: str) -> None:
    """Raises NotThere where another version of the package is installed than the suite names."""
    if installed != options.version:
        raise NotThere(
            f"The suite is of {options.kind} {options.version}, and {installed} is installed, which scores otherwise."
            f" Install that one (`pip install {options.kind}=={options.version}`), or name this one: another suite.",
            option="version",
        )


async def score(
    scorers: Sequence[OwnScorer],
    results: Iterable[Result],
    examples: Mapping[str, Example],
    *,
    at_once: int = 8,
) -> dict[Place, dict[str, Scored]]:
    """What the scorers say of the results that have an answer and lack their score; `examples` are by id."""
    room = asyncio.Semaphore(at_once)

    async def one(scorer: OwnScorer, case: Case) -> Scored:
        async with scorer.turn, room:  # whoever waits for a turn takes no room
            return await scorer.score(case)

    asked: list[tuple[Place, OwnScorer, Case]] = []
    for result in results:
        if result.answer is not None:
            case = Case(example=examples[result.example], answer=result.answer)
            place = (result.target, result.example, result.repeat)
            asked += [(place, scorer, case) for scorer in scorers if scorer.name not in result.scores]
    with contextlib.redirect_stdout(sys.stderr):
        scores = await asyncio.gather(*(one(scorer, case) for _, scorer, case in asked))
    found: dict[Place, dict[str, Scored]] = {}
    for (place, scorer, _), scored in zip(asked, scores, strict=True):
        found.setdefault(place, {})[scorer.name] = scored
    return found


def read(said: Any, options: OwnOptions) -> Scored:
    """What a scorer returned, as a score. Raises Unscorable for what is none."""
    if isinstance(said, Scored):
        return said
    said = said.item() if callable(getattr(said, "item", None)) and not isinstance(said, dict) else said
    if said is None:
        return Scored(reason="The scorer had nothing to say.")
    if isinstance(said, bool):
        return Scored(value=float(said), passed=said)
    if isinstance(said, int | float):
        return _in_range(Scored(value=said), options)
    if not isinstance(said, dict):
        raise Unscorable("wrong_type", f"It returned {type(said).__name__}: true, false, a number, a dict or None do.")
    strange = set(map(str, said)) - set(_KEYS)
    if strange:
        raise Unscorable("wrong_type", f"It returned a dict with {min(strange)!r}.{nearest(min(strange), _KEYS)}")
    return _in_range(_of_dict(said, options), options)


_KEYS = ["value", "passed", "reason", "details", "cost_usd"]


def _of_dict(said: dict[str, Any], options: OwnOptions) -> Scored:
    inner = read(said.get("value"), options)
    passed, details = said.get("passed", inner.passed), said.get("details") or {}
    if passed is not None and not isinstance(passed, bool):
        raise Unscorable("wrong_type", f"`passed` is {passed!r:.40}, not true or false.")
    if not isinstance(details, dict):
        raise Unscorable("wrong_type", "`details` is no dict.")
    try:
        details = msgspec.json.decode(msgspec.json.encode(details))
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError):
        raise Unscorable("wrong_type", "`details` has values that JSON has not.") from None
    for name in getattr(options, "metrics", []):
        if isinstance(details.get(name), bool) or not isinstance(details.get(name, 0.0), int | float):
            raise Unscorable("wrong_type", f"`details` has no number for the metric `{name}`.")
    reason = str(said.get("reason") or inner.reason)[:_LONGEST_REASON]
    return Scored(value=inner.value, passed=passed, reason=reason, details=details, cost_usd=_cost(said))


def _cost(said: dict[str, Any]) -> float:
    cost = said.get("cost_usd") or 0.0
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost <= MOST_USD:
        raise Unscorable("wrong_type", f"`cost_usd` is {cost!r:.40}, not dollars.")
    return float(cost)


def _in_range(scored: Scored, options: OwnOptions) -> Scored:
    if options.unit == "share" and scored.value is not None and (scored.value < 0 or scored.value > 1):
        raise Unscorable("wrong_type", f"{scored.value:g} is no share of 0 to 1; `unit = 'score'` allows any number.")
    return scored


def _load_python(project: Path, options: PythonOptions, name: str, *, file: str, key: str) -> OwnScorer:
    path = (project / options.file).resolve()
    if not path.is_relative_to(project.resolve()):
        raise SettingsError("it leads out of the project.", file=file, param=f"{key}.file")
    try:
        source = path.read_bytes()
    except OSError as error:
        reason = "no such file." if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}."
        raise SettingsError(f"{options.file}: {reason}", file=file, param=f"{key}.file") from None
    held = own_code.hash_of(options.file, source, partial(project_file, project))
    if options.file_hash not in (None, held):
        raise SettingsError(
            f"{options.file}, or what it imports, has changed since the run began.",
            file=file,
            param=f"{key}.file",
            remedy="Run the suite again: what has been answered is not asked anew.",
        )
    where = partial(_line, path, options.file)
    module = _imported(path, source, where, file=file, key=key)
    function = getattr(module, options.function, None)
    if not callable(function):
        functions = [each for each, value in vars(module).items() if inspect.isfunction(value)]
        hint = nearest(options.function, functions)
        raise SettingsError(
            f"{options.file} has no function `{options.function}`.{hint}", file=file, param=f"{key}.function"
        )
    wanted = _parameters(function, options, file=file, key=key)
    is_async = inspect.iscoroutinefunction(function)
    return OwnScorer(
        name=name,
        version=sha256(f"{version_of(options)} {held}".encode()).hexdigest(),
        options=options,
        say=partial(_call if is_async else _call_in_thread, function, wanted),
        where=where,
        alone=not is_async,
    )


def _imported(path: Path, source: bytes, where: Callable[[BaseException], str], *, file: str, key: str) -> ModuleType:
    """The module, of the very bytes that its version covers; files beside it can be imported by it.

    It is the project's own code, run by its user. Raises SettingsError for whatever happens in it.
    """
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    name = f"rondo_own_{path.stem}_{sha256(str(path).encode() + source).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with contextlib.redirect_stdout(sys.stderr):
            exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise SettingsError(f"it cannot be loaded: {where(error)}", file=file, param=f"{key}.file") from None
    return module


def _parameters(function: Callable[..., Any], options: PythonOptions, *, file: str, key: str) -> list[str]:
    """What the function wants to be given, by name. Raises SettingsError where it wants something else."""
    taken = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            return list(PARAMETERS)
        if name in PARAMETERS and parameter.kind is not parameter.POSITIONAL_ONLY:
            taken.append(name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise SettingsError(
                f"`{options.function}` has a parameter `{name}`.{nearest(name, list(PARAMETERS))}",
                file=file,
                param=f"{key}.function",
            )
    return taken


def arguments(case: Case, wanted: Sequence[str]) -> dict[str, Any]:
    """What a function is called with; `case` has every field of the example and of the answer."""
    given: dict[str, Callable[[], Any]] = {
        "question": lambda: case.example.question,
        "answer": lambda: case.answer.text,
        "expected": lambda: case.example.expected,
        "case": lambda: {"example": _whole(case.example), "answer": _whole(case.answer)},
    }
    return {name: given[name]() for name in wanted}


def _whole(value: Example | Answer) -> dict[str, Any]:
    return {name: msgspec.to_builtins(getattr(value, name)) for name in value.__struct_fields__}


async def _call(function: Callable[..., Any], wanted: Sequence[str], case: Case) -> Any:
    return await function(**arguments(case, wanted))


async def _call_in_thread(function: Callable[..., Any], wanted: Sequence[str], case: Case) -> Any:
    """In a thread of its own that nobody waits for at the end: one that hangs must not keep the command from ending."""
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Any] = loop.create_future()
    given = arguments(case, wanted)

    def tell(settle: Callable[[Any], None], what: Any) -> None:
        if not told.done():
            settle(what)

    def run() -> None:
        try:
            said = function(**given)
        except BaseException as error:  # `sys.exit()` too is only a failed score
            plain = error if isinstance(error, Exception) else RuntimeError(repr(error))
            settle, what = told.set_exception, plain.with_traceback(error.__traceback__)
        else:
            settle, what = told.set_result, said
        with contextlib.suppress(RuntimeError):  # the loop is gone: the command has ended
            loop.call_soon_threadsafe(tell, settle, what)

    threading.Thread(target=run, daemon=True).start()
    return await told


def _line(path: Path, shown: str, error: BaseException) -> str:
    """`scorers/tone.py:12: ZeroDivisionError: division by zero`."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return f"{shown}:{error.lineno}: SyntaxError: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    place = f"{shown}:{lines[-1]}" if lines else shown
    return f"{place}: {_said(error)}"


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
