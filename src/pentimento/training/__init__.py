"""The training room: one loop over `Job(model, batch, loss, export)`, its checkpoints and its EMA.

It knows no model and no data; what is trained is said in `pentimento.recipes`.
"""

from .checkpoint import images_done
from .job import Job, TrainReport, TrainSettings
from .loop import train
from .weights import warm_start

__all__ = ["Job", "TrainReport", "TrainSettings", "images_done", "train", "warm_start"]
