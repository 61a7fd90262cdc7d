"""What is learned from a person's own pairs: an instruction, in minutes, with a frozen model (InstructBrush, Visii)."""

from .instruction import learn
from .pairs import read_pairs
from .settings import LearnSettings, learn_settings, settings_for
from .watching import Watching

__all__ = ["LearnSettings", "learn", "learn_settings", "read_pairs", "settings_for", "Watching"]
