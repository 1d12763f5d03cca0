"""`maker` makes the very messages that their classes make."""

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest

from roadcraft.sim.making import maker
from roadcraft.sim.messages import Camera, Control


@dataclass(frozen=True, slots=True)
class Note:
    """A message."""

    pitch: float
    length: float = 1.0
    name: str = ""


@dataclass(frozen=True)
class Loose:
    """Not a message."""

    pitch: float


def test_a_made_message_is_the_message() -> None:
    note = maker(Note)
    assert note(440.0, name="a") == Note(440.0, name="a")
    assert type(note(440.0)) is Note
    assert replace(note(440.0), length=2.0) == Note(440.0, 2.0)
    assert maker(Camera)() == Camera()


def test_it_is_frozen() -> None:
    made = maker(Note)(440.0)
    with pytest.raises(FrozenInstanceError):
        made.pitch = 1.0  # type: ignore[misc]


def test_missing_and_unknown_fields_are_refused() -> None:
    with pytest.raises(TypeError):
        maker(Note)()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        maker(Note)(440.0, colour="red")  # type: ignore[call-arg]


def test_what_checks_itself_is_checked() -> None:
    control = maker(Control)
    assert control(0.1, brake=0.2) == Control(0.1, 0.0, 0.2)
    with pytest.raises(ValueError, match=r"Control\.steer = 1\.5"):
        control(1.5)


def test_only_classes_with_slots_can_be_made_so() -> None:
    with pytest.raises(TypeError, match="Loose needs slots"):
        maker(Loose)
