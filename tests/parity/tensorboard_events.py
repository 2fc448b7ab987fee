"""TensorBoard's own reader on event files of a run that was resumed twice: one curve, without the steps that were lost; and the samples of
the last start, as its pages for images and text take them."""

import io
import subprocess
import sys
import tempfile

from PIL import Image
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.text.text_plugin import text_array_to_html
from tensorboard.util.tensor_util import make_ndarray


def check_images(events):
    assert sorted(events.Tags()["images"]) == ["samples/image-00000", "samples/image-00001"], events.Tags()
    for tag, mode, pixel in (("samples/image-00000", "L", 200), ("samples/image-00001", "RGB", (100, 100, 100))):
        (event,) = events.Images(tag)
        assert (event.step, event.width, event.height) == (50, 3, 3), event
        image = Image.open(io.BytesIO(event.encoded_image_string))
        assert (image.mode, image.size, image.getpixel((0, 0))) == (mode, (3, 3), pixel), image


def check_text(events):
    """With the reader that the page of texts has, where every summary is a tensor."""
    assert "samples/text" in events.Tags()["tensors"], events.Tags()
    (event,) = events.Tensors("samples/text")
    assert events.SummaryMetadata("samples/text").plugin_data.plugin_name == "text"
    assert event.step == 50, event
    html = text_array_to_html(make_ndarray(event.tensor_proto), enable_markdown=True)
    assert "<code>start 3\n  # ```indented\n</code>" in html, html


def main(program):
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([program, folder], check=True)
        events, pages = EventAccumulator(folder), plugin_event_accumulator.EventAccumulator(folder)
        events.Reload()
        pages.Reload()
    assert sorted(events.Tags()["scalars"]) == ["train/learning_rate", "train/loss", "validation/loss"], events.Tags()
    curves = {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert curves["train/loss"] == [(10, 110), (20, 120), (30, 130), (40, 240), (50, 350)], curves
    assert curves["validation/loss"] == [(20, -120), (40, -240)], curves
    check_images(events)
    check_text(pages)


if __name__ == "__main__":
    main(sys.argv[1])
