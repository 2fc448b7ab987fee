"""learn_bpe.py LIST VOCAB_SIZE: what ../learn_bpe.cpp does, by Hugging Face tokenizers, with RAYON_NUM_THREADS=1; seconds of the processor."""

import json
import pathlib
import sys
import time

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

texts = [pathlib.Path(path).read_bytes().decode() for path in pathlib.Path(sys.argv[1]).read_text().splitlines()]
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
trainer = trainers.BpeTrainer(vocab_size=int(sys.argv[2]), min_frequency=2, special_tokens=["<|endoftext|>"], show_progress=False,
                              initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
begin = time.process_time()
tokenizer.train_from_iterator(texts, trainer)
seconds = time.process_time() - begin
merges = json.loads(tokenizer.to_str())["model"]["merges"]
print(json.dumps({"seconds": seconds, "bytes": sum(len(text.encode()) for text in texts),
                  "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]}))
