"""Every error that a caller can provoke, in one tree.

    PentimentoError                exit status 2
    ├── RequestError               a picture, mask, instruction or setting that cannot be used
    ├── PlanError                  the words could not be turned into a plan
    │   └── UnusableAnswer         a language model answered, but never in the form that it was asked for
    ├── PackError                  a pack, a role in it or its weights are missing or broken
    ├── TrainingError              a recipe cannot start or go on
    └── NothingFound               nothing in the picture answers the words (exit status 3)

Each message is one line: what was given, what was wanted, how to mend it.
"""


class PentimentoError(Exception):
    """The base of all errors that this library raises on purpose."""

    exit_status = 2


class RequestError(PentimentoError):
    """A picture, mask, instruction or setting that cannot be used."""


class PlanError(PentimentoError):
    """The words could not be turned into a plan."""


class UnusableAnswer(PlanError):
    """A language model answered, but never in the form that it was asked for."""


class PackError(PentimentoError):
    """A pack, one of its roles or its weights are missing or broken."""


class TrainingError(PentimentoError):
    """A recipe cannot start or go on."""


class NothingFound(PentimentoError):
    """Nothing in the picture answers the phrase; carries the best score that was seen."""

    exit_status = 3

    def __init__(self, phrase: str, best_score: float, threshold: float):
        self.phrase, self.best_score, self.threshold = phrase, best_score, threshold
        super().__init__(
            f"found no {phrase!r} in the picture (best score {best_score:.2f}, threshold {threshold:.2f}): "
            "name it differently, or give a mask"
        )
