"""Kind vit_classifier against transformers' ViTForImageClassification: the same weights and images give the same logits, loss,
gradients and ten steps of AdamW; from_pretrained() reads the checkpoint, and its image processor makes the same pixels."""

import copy
import json
import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoImageProcessor, ViTConfig, ViTForImageClassification

import models
from models import MICROBATCH, MICROBATCHES_PER_STEP, STEPS, assert_close, assert_same_gradients, batch_of

SIZE, CHANNELS, CLASSES = 12, 3, 5
# transformers 5 has other names for these parameters in memory than in files; Triga has those of the files.
IN_FILES = (
    ("vit.layers.", "vit.encoder.layer."), (".attention.q_proj.", ".attention.attention.query."),
    (".attention.k_proj.", ".attention.attention.key."), (".attention.v_proj.", ".attention.attention.value."),
    (".attention.o_proj.", ".attention.output.dense."), (".mlp.fc1.", ".intermediate.dense."), (".mlp.fc2.", ".output.dense."),
)  # fmt: skip


def named_as_in_files(model):
    for name, parameter in model.named_parameters():
        for memory, file in IN_FILES:
            name = name.replace(memory, file)
        yield name, parameter


def make_model():
    torch.manual_seed(3)
    config = ViTConfig(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=40, image_size=SIZE, patch_size=4,
                       num_channels=CHANNELS, num_labels=CLASSES)
    model = ViTForImageClassification(config).eval()
    with torch.no_grad():  # norms and biases matter, and logits are not all alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def mean_loss(model, batches):
    losses = [torch.nn.functional.cross_entropy(model(batch["pixel_values"]).logits, batch["labels"], reduction="sum")
              for batch in batches]
    return sum(losses) / sum(len(batch["labels"]) for batch in batches)


def main(program):
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder, name = Path(temporary), "vit"
        model = make_model()
        model.save_pretrained(folder / name)
        generator = torch.Generator().manual_seed(5)
        samples = [{"image": torch.randint(0, 256, (CHANNELS, SIZE, SIZE), dtype=torch.uint8, generator=generator),
                    "label": torch.randint(0, CLASSES, (), generator=generator)}
                   for _ in range(MICROBATCH * MICROBATCHES_PER_STEP * STEPS)]
        options = {"image_size": SIZE, "patch_size": 4, "num_channels": CHANNELS, "num_labels": CLASSES, "num_layers": 3,
                   "num_heads": 4, "hidden_size": 24, "intermediate_size": 40}
        models.write_inputs(folder, options, samples)
        results = models.run(program, "transformer", "vit_classifier", folder, name)

        batches = [[batch_of(results, step, i) for i in range(MICROBATCHES_PER_STEP)] for step in range(STEPS)]
        first = batches[0][0]
        assert first["labels"].tolist() == [int(sample["label"]) for sample in samples[:MICROBATCH]]
        trained = copy.deepcopy(model)
        theirs = trained(first["pixel_values"]).logits
        logits_error = assert_close("logits", results["logits"], theirs, 1e-5)
        loss = mean_loss(trained, [first])
        loss.backward()
        assert_close("loss", results["loss"].reshape([]), loss.double(), 1e-5 * loss.item())
        gradient_error = assert_same_gradients(results, named_as_in_files(trained))
        losses = models.optimize(trained.parameters(), lambda step: mean_loss(trained, batches[step]))
        losses_error = assert_close("losses of ten steps", results["losses"], losses, 1e-5)
        print(f"logits {logits_error:.2g}, gradients {gradient_error:.2g} of the limit, losses {losses_error:.2g}")

        written = folder / f"{name}-written" / "step-00000000"
        loaded, info = ViTForImageClassification.from_pretrained(written, output_loading_info=True)
        assert not info["missing_keys"] and not info["unexpected_keys"], info
        assert torch.equal(loaded.eval()(first["pixel_values"]).logits, theirs), "other weights"
        processed = AutoImageProcessor.from_pretrained(written)(images=[sample["image"] for sample in samples[:MICROBATCH]],
                                                                return_tensors="pt")
        assert_close("pixel_values", first["pixel_values"], processed["pixel_values"], 1e-6)

        stored = json.loads((folder / name / "config.json").read_text())
        (folder / name / "config.json").write_text(json.dumps({**stored, "patch_size": 6, "hidden_act": "relu"}))
        models.assert_refused(program, "transformer", "vit_classifier", folder, name,
                              ["patch_size: 4 here, 6 there", 'activation: "gelu" here, "relu" there'])


if __name__ == "__main__":
    main(sys.argv[1])
