"""Templates: Liquid, strict and boxed in. What is undefined is an error that names it; nothing is included or read.

    compile_text("Hello {{ customer.name }}").render({"customer": {"name": "Ana"}})      -> "Hello Ana"
    compile_value("{{ customer.age | plus: 1 }}").render({"customer": {"age": 41}})      -> 42, a number

Tags: if, unless, case, for, assign, capture, comment, raw. Bounds: text, nesting, iterations over all loops of one
rendering, and they times the template's tags, size of variables and of the output. Compiled once: what is compiled is
cached by its text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, TextIO
from urllib.parse import quote

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.content import ContentNode
from liquid.builtin.output import Output, OutputNode
from liquid.exceptions import LiquidError, LoopIterationLimitError
from liquid.stringify import to_liquid_string
from liquid.undefined import FalsyStrictUndefined, is_undefined
from liquid.utils import ReadOnlyChainMap

from consumers.connectors.filters import LIST_VALUES_MAX, OMIT, TEXT_CHARS_MAX, Omit, install
from consumers.connectors.markup import TAGS, MarkupWrong, check_markup
from consumers.connectors.port import RenderFailed
from consumers.connectors.uses import Use, asked_for
from rules.errors import SegmentdError
from rules.language.hints import nearest

TEMPLATE_CHARS_MAX = 64 * 1024
ITERATIONS_MAX = 10_000  # over all loops of one rendering
STEPS_MAX = 500_000  # iterations times the tags and outputs of the template: about a second
_COMPILED_MAX = 2048  # templates kept compiled

_BROKEN = (LiquidError, ArithmeticError, LookupError, ValueError, TypeError, AttributeError, RecursionError)
"""What Liquid and its filters raise for values that do not fit."""

Form = Literal["text", "html", "url"]
"""What is written around values: nothing, HTML (they are escaped), or an address (they are percent-encoded)."""


class TemplateWrong(SegmentdError):
    """A text is no template; the message says where in it (`line 1, column 7: ...`) and what is wrong."""


# -- the box ----------------------------------------------------------------------------------------------------------


class _Undefined(FalsyStrictUndefined):
    """May be asked for by `if` and given a `default`; everything else with it is an error."""


class _Context(RenderContext):
    """Counts the iterations of all loops together."""

    __slots__ = ("_iterations",)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.scope = ReadOnlyChainMap(self.locals, self.globals)  # without `now` and `today`, which read a clock

    def raise_for_loop_limit(self, length: int = 1) -> None:
        spent = getattr(self, "_iterations", 0) + length
        self._iterations = spent
        most = min(ITERATIONS_MAX, STEPS_MAX // getattr(self.template, "weight", 1))
        if spent > most:
            raise LoopIterationLimitError(f"at most {most:,} iterations of loops", token=None)


class _Template(BoundTemplate):
    """`weight`: its tags and outputs."""

    context_class = _Context
    weight = 1


class _OutputNode(OutputNode):
    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        environment = context.env
        assert isinstance(environment, _Box)
        return buffer.write(environment.written(self.expression.evaluate(context)))


class _Output(Output):
    node_class = _OutputNode


class _Box(Environment):
    template_class = _Template
    context_depth_limit = 20
    block_nesting_limit = 20
    loop_iteration_limit = ITERATIONS_MAX
    local_namespace_limit = 2 * TEXT_CHARS_MAX
    output_stream_limit = 4 * TEXT_CHARS_MAX  # bytes

    def __init__(self, form: Form) -> None:
        self._form = form
        super().__init__(undefined=_Undefined, autoescape=form == "html", strict_filters=True)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=False)
        for name in [name for name in self.tags if name not in TAGS and name.isalpha() and name.islower()]:
            if name not in ("content", "output", "illegal"):
                del self.tags[name]
        self.add_tag(_Output)
        install(self)

    def written(self, value: Any) -> str:
        """A value as it stands in the text."""
        if is_undefined(value):
            return str(value)  # raises, naming it
        if isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(v, dict | list) for v in value)):
            raise LiquidError("is more than a text: take a part of it, or write `| json`", token=None)
        if isinstance(value, Omit):
            return ""
        text = to_liquid_string(value, autoescape=self.autoescape)
        return quote(text, safe="*") if self._form == "url" else text


_BOXES: dict[Form, _Box] = {"text": _Box("text"), "html": _Box("html"), "url": _Box("url")}


# -- what is compiled -------------------------------------------------------------------------------------------------


class Template:
    """A template, compiled. `source` as written; `uses`: the variables it asks for from outside."""

    __slots__ = ("_exact", "_template", "constant", "source", "uses")

    def __init__(self, source: str, template: BoundTemplate, uses: Sequence[Use]) -> None:
        self.source = source
        self.uses = uses
        self.constant = all(isinstance(node, ContentNode) for node in template.nodes)
        self._template = template
        nodes = template.nodes
        self._exact = nodes[0].expression if len(nodes) == 1 and isinstance(nodes[0], OutputNode) else None

    @property
    def exact(self) -> bool:
        """Whether it is one `{{ expression }}` and nothing else, whose value keeps its type."""
        return self._exact is not None

    def render(self, variables: Mapping[str, Any]) -> str:
        """The text. Raises RenderFailed."""
        if self.constant:
            return str(self._template)
        try:
            return self._template.render(variables)
        except _BROKEN as error:
            raise _failed(self.source, error) from None

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What the one expression comes to, with its type (OMIT: to be left out), or else the text. Raises
        RenderFailed."""
        if self._exact is None:
            return self.render(variables)
        try:
            found = self._exact.evaluate(_Context(self._template, globals=variables))
            if is_undefined(found):
                str(found)  # raises, naming it
        except _BROKEN as error:
            raise _failed(self.source, error) from None
        return _plain(found)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    if value is None or value is OMIT or isinstance(value, bool | int | float | list):
        return value
    if isinstance(value, range) and len(value) <= LIST_VALUES_MAX:
        return list(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise RenderFailed(f"a {type(value).__name__} cannot be sent")


def _failed(source: str, error: Exception) -> RenderFailed:
    why = str(error.message) if isinstance(error, LiquidError) else f"cannot be computed ({type(error).__name__})"
    if why.endswith(" is undefined"):
        return undefined(why.removesuffix(" is undefined").strip("'"))
    return RenderFailed(f"`{source[:80]}{'…' if len(source) > 80 else ''}`: {why}")


def undefined(path: str) -> RenderFailed:
    """What is said of a variable that there is not."""
    root, _, name = path.partition(".")
    if root in ("secrets", "settings") and name:
        return RenderFailed(f"the {root[:-1]} `{name}` is not set", mendable=True)
    return RenderFailed(f"`{path}` is undefined")


def compile_text(source: str, *, html: bool = False) -> Template:
    """A template of text, or of HTML whose values are escaped. Raises TemplateWrong."""
    return _compiled(source, "html" if html else "text")


def compile_value(source: str) -> Template:
    """A template for `value`. Raises TemplateWrong."""
    return _compiled(source, "text")


def compile_url(source: str) -> Template:
    """A template of an address, or a part of one: values are percent-encoded. Raises TemplateWrong."""
    return _compiled(source, "url")


@lru_cache(maxsize=_COMPILED_MAX)
def _compiled(source: str, form: Form) -> Template:
    if len(source) > TEMPLATE_CHARS_MAX:
        raise TemplateWrong(f"a template may be at most {TEMPLATE_CHARS_MAX:,} characters long")
    box = _BOXES[form]
    try:
        check_markup(source)
        template = box.from_string(source)
    except LiquidError as error:
        raise TemplateWrong(_placed(error)) from None
    except MarkupWrong as error:
        raise TemplateWrong(_at(source, error.where, error.message)) from None
    except RecursionError:
        raise TemplateWrong("is nested too deep") from None
    analysis = template.analyze()
    for name in analysis.filters:
        if name not in box.filters:
            meant = nearest(name, list(box.filters))
            raise TemplateWrong(f"no such filter `{name}`" + (f"; did you mean `{meant}`?" if meant else ""))
    if isinstance(template, _Template):
        template.weight = 1 + source.count("{{") + source.count("{%")
    return Template(source, template, asked_for(template, analysis))


def _placed(error: LiquidError) -> str:
    message = str(error.message or "cannot be read").replace("'", "`")
    try:
        place = error.context()
    except ValueError:
        place = None
    return f"line {place[0]}, column {place[1] + 1}: {message}" if place else message


def _at(source: str, where: int, message: str) -> str:
    line = source.count("\n", 0, where) + 1
    return f"line {line}, column {where - source.rfind(chr(10), 0, where)}: {message}"
