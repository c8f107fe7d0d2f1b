"""What a run writes is what TRL takes: no conversion in between."""

import datasets
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

from anyprefer.graph import synth
from tests.scripted import Scripted


def test_trl_trains_on_the_pairs_of_a_run_as_they_are(tiny, tmp_path):
    model = Scripted()
    rows = list(synth(["One?", "Two?"], target=model, judge=model, tools=[], candidates=3, folder=tmp_path / "run"))
    assert [row.outcome for row in rows] == ["accepted", "accepted"]

    pairs = datasets.load_dataset(
        "json", data_files=str(tmp_path / "run" / "pairs.jsonl"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert {"prompt", "chosen", "rejected"} <= set(pairs.column_names)
    arguments = DPOConfig(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=2,
        logging_steps=1,
        report_to="none",
        use_cpu=True,
        bf16=False,
        save_strategy="no",
    )
    trainer = DPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny),
        args=arguments,
        train_dataset=pairs,
        processing_class=AutoTokenizer.from_pretrained(tiny),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert abs(losses[0] - 0.693) < 0.01
    assert losses[1] != losses[0]
