"""TensorBoard's own reader on event files of a run that was resumed twice: one curve, without the steps that were lost."""

import subprocess
import sys
import tempfile

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder], check=True)
        events = EventAccumulator(folder)
        events.Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/learning_rate", "train/loss", "validation/loss"], events.Tags()
    curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert curves["train/loss"] == [(10, 110), (20, 120), (30, 130), (40, 240), (50, 350)], curves
    assert curves["validation/loss"] == [(20, -120), (40, -240)], curves


if __name__ == "__main__":
    main(sys.argv[1])
