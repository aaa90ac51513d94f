"""What steps are called, wherever they are shown or logged. Pure."""

from typing import assert_never

from refresher.definitions.step import (
    Alter,
    Create,
    CreateIndex,
    Drop,
    DropIndex,
    Populate,
    Refresh,
    Rename,
    Replace,
    Step,
    Swap,
    Widen,
)


def title(step: Step) -> str:
    """A step in a few words."""
    view = step.views[0]
    match step:
        case Rename():
            return f"rename {step.before} to {view}"
        case Create() | Replace() | Populate() | Refresh() | Drop():
            return f"{step.kind} {view}"
        case Swap():
            return f"swap {', '.join(step.beside)}"
        case CreateIndex():
            return f"{'rebuild' if step.replaces else 'create'} index {step.name} of {view}"
        case DropIndex():
            return f"drop index {step.name} of {view}"
        case Widen(columns=columns):
            parts = tuple(name for name, _ in columns)
        case Alter(aspects=aspects):
            parts = aspects
        case other:
            assert_never(other)
    return f"{step.kind} {view}: {', '.join(parts)}"
