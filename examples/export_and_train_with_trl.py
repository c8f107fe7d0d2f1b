"""A run as a data set, and TRL's own DPOTrainer on it. SmolLM2: two minutes on two cores.

python examples/export_and_train_with_trl.py                    # or: TARGET FOLDER-OF-THE-SAME-MODEL
"""

import sys

from datasets import load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from anyprefer import synth
from anyprefer.models.local.model_files import model_source
from anyprefer.training.evaluation.families import FAMILIES
from anyprefer.training.export.export import export
from anyprefer.training.export.exported import Options

TARGET = sys.argv[1] if len(sys.argv) > 1 else "smollm2"
BASE = sys.argv[2] if len(sys.argv) > 2 else str(model_source(TARGET))

played = {"tools": ["calculator", "answer_form"], "temperature": 0.7, "max_new_tokens": 24}
list(synth(FAMILIES["sums"].make(10, 0, "train"), target=TARGET, judge="evidence", folder="runs/to-export", **played))

made = export(["runs/to-export"], "data/sums", Options(license="apache-2.0", language=("en",)))
print(made.scale, "pairs; the card is data/sums/README.md")

pairs = load_dataset("data/sums", split="train")
how = DPOConfig("models/trl", max_steps=2, per_device_train_batch_size=2, use_cpu=True, bf16=False, report_to="none")
tokens = AutoTokenizer.from_pretrained(BASE)
trainer = DPOTrainer(AutoModelForCausalLM.from_pretrained(BASE), args=how, train_dataset=pairs, processing_class=tokens)
print("loss", trainer.train().training_loss)
