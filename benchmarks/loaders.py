"""Do the trainers' own packages load what `anyprefer export` wrote? One trainer a call, each in an environment of its own.

    PYTHON benchmarks/loaders.py llama_factory SET TOKENIZER     # SET: an exported folder; TOKENIZER: one with a chat template

Nothing of Anyprefer is imported. A package that is there only in part can be used: what it imports beside its loading code
and does not need to load (audio, experiment tracking) is stood in for, and named.
"""

import importlib.util
import json
import sys
from importlib.machinery import ModuleSpec
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

from datasets import load_dataset


def stand_in(*names):
    """Modules that are not installed and that loading does not use."""
    missing = [name for name in names if name not in sys.modules and not importlib.util.find_spec(name)]
    sys.modules.update({name: MagicMock(__spec__=ModuleSpec(name, None), __path__=[]) for name in missing})
    if missing:
        print("stood in for:", ", ".join(missing))


def tokenizer(folder):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def llama_factory(folder, tokens):
    """`get_dataset_list`, `_load_single_dataset` and the pairwise processor of stage dpo, with the template `default`."""
    stand_in("torchaudio")
    from llamafactory.data.loader import _load_single_dataset
    from llamafactory.data.parser import get_dataset_list
    from llamafactory.data.processor import PairwiseDatasetProcessor
    from llamafactory.data.template import get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments

    files = folder / "files"
    data = DataArguments(template="default", dataset_dir=str(files), media_dir=str(files), cutoff_len=512)
    [attr] = get_dataset_list(["anyprefer"], str(files))
    training = SimpleNamespace(local_process_index=0, dataloader_num_workers=0)
    rows = _load_single_dataset(attr, ModelArguments(model_name_or_path=str(tokens)), data, training)
    images = [image for row in rows for image in row["_images"] or []]
    assert all(Path(image).is_file() and Path(image).is_absolute() == files.is_absolute() for image in images)
    assert all(len(row["_prompt"]) % 2 == 1 and len(row["_response"]) == 2 for row in rows)
    if images:
        marks = [sum(one["content"].count("<image>") for one in row["_prompt"]) for row in rows]
        assert marks == [len(row["_images"]) for row in rows]
        return f"{len(rows)} rows converted, {len(images)} images found"
    read = tokenizer(tokens)
    processor = PairwiseDatasetProcessor(get_template_and_fix_tokenizer(read, data), read, None, data)
    encoded = processor.preprocess_dataset(rows[:])
    said = [read.decode([at for at in one if at >= 0]).strip() for one in encoded["chosen_labels"]]
    assert all(row["_response"][0]["content"] in text for row, text in zip(rows, said, strict=True))
    return f"{len(rows)} rows converted, {len(said)} encoded by the pairwise processor"


def axolotl(folder, tokens):
    """The strategy `chat_template.default` of `rl: dpo`, loaded as its RL loader loads it and mapped over the rows."""
    from axolotl.prompt_strategies.dpo import load
    from axolotl.utils.dict import DictDefault

    pairs = load_dataset(str(folder), split="train")
    told = {"path": str(folder), "type": "chat_template.default", "field_messages": "prompt"}
    cfg = DictDefault({"rl": "dpo", "chat_template": "tokenizer_default", "datasets": [told]})
    transform, how = load("chat_template.default", cfg, dataset_idx=0)
    read = tokenizer(tokens)
    made = pairs.map(transform, fn_kwargs={"tokenizer": read}, **how)
    for given, one in zip(
        pairs, load_dataset(str(folder), split="train").map(transform, fn_kwargs={"tokenizer": read}), strict=True
    ):
        for name in ("chosen", "rejected"):
            assert one[name].startswith(given[name][0]["content"]), one[name]
    return f"{len(made)} rows rendered; every answer begins where the strategy looks for it"


def openrlhf(folder, tokens):
    """`RewardDataset` for DPO and for the reward model, with `--data.apply_chat_template`."""
    stand_in("pylatexenc", "sympy", "ray", "deepspeed", "torchdata", "wandb")
    from openrlhf.datasets.reward_dataset import RewardDataset

    pairs = load_dataset(str(folder), split="train")
    keys = {"prompt_key": "prompt", "chosen_key": "chosen", "rejected_key": "rejected", "apply_chat_template": True}
    strategy = SimpleNamespace(args=SimpleNamespace(data=SimpleNamespace(**keys)))
    read = tokenizer(tokens)
    for dpo in (True, False):
        rows = RewardDataset(pairs, read, 512, strategy, is_dpo=dpo, num_processors=1)
        assert len(rows) == len(pairs)
        for at, given in enumerate(pairs):
            chosen, _, rejected, _, extra = rows[at]
            assert given["chosen"][0]["content"] in read.decode(chosen[0][extra if dpo else 0 :])
            assert given["rejected"][0]["content"] in read.decode(rejected[0][extra if dpo else 0 :])
            assert dpo or extra == given["margin"]
    return f"{len(pairs)} rows for DPO and, with margins, for the reward model"


def swift(folder, tokens):
    """`load_dataset` of ms-swift with its AutoPreprocessor."""
    from swift.dataset import load_dataset as load

    file = folder / "files" / "swift.jsonl"
    rows, _ = load([str(file)], num_proc=1, strict=True)
    given = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(given)
    for row in rows:
        assert row["messages"][-1]["role"] == "assistant"
        assert row["rejected_response"] != row["messages"][-1]["content"]
    return f"{len(rows)} rows, columns {', '.join(rows.column_names)}"


def open_instruct(folder, tokens):
    """`preference_tulu_tokenize_and_truncate_v1` and its filter, of its file `dataset_transformation.py`."""
    stand_in("open_instruct.launch_utils", "open_instruct.logger_utils", "open_instruct.utils")
    from open_instruct.dataset_transformation import preference_tulu_filter_v1, preference_tulu_tokenize_and_truncate_v1

    read = tokenizer(tokens)
    pairs = load_dataset(str(folder), "conversations", split="train")
    for row in pairs:
        made = preference_tulu_tokenize_and_truncate_v1(row, read, 2048)
        assert preference_tulu_filter_v1(made, read)
        for name in ("chosen", "rejected"):
            labels = [int(at) for at in made[f"{name}_labels"] if at >= 0]
            assert row[name][-1]["content"] in read.decode(labels)
    return f"{len(pairs)} rows tokenised, answers with labels"


def lerobot(folder, tokens):
    """`LeRobotDataset(root=…)`: every episode's first and last frame decoded, and the preferences beside them."""
    import pandas
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    data = LeRobotDataset("local/export", root=folder / "trajectories")
    told = pandas.read_parquet(folder / "trajectories" / "preferences.parquet")
    at = [0, *(int(end) for end in data.meta.episodes["dataset_to_index"])]
    for first, end in pairwise(at):
        for frame in (data[first], data[end - 1]):
            assert frame["observation.images.front"].shape[0] == 3
            assert frame["action"].ndim == 1
    assert set(told["chosen_episode"]) | set(told["rejected_episode"]) == set(range(data.num_episodes))
    return f"{data.num_episodes} episodes, {data.num_frames} frames, {len(told)} preferences"


if __name__ == "__main__":
    name, where, known = sys.argv[1], Path(sys.argv[2]).absolute(), sys.argv[3] if len(sys.argv) > 3 else ""
    print(f"{name}: {globals()[name](where, known)}")
