"""NeMo Data Designer: one call a row, or generate then judge (`--steps 2`). Run it with its own Python.

Kept off the network: telemetry, metrics port, health check of the model, tiktoken's download. Its early
stop at many errors is off, so that it is compared on finishing.
"""

from __future__ import annotations

import os
import tempfile

from measure import JUDGE, Clock, NoTokens, options, question


def offline() -> None:
    os.environ.update(
        NEMO_TELEMETRY_ENABLED="false",
        HF_HUB_OFFLINE="1",
        DATA_DESIGNER_HOME=tempfile.mkdtemp(),
        HOME=tempfile.mkdtemp(),
    )
    import tiktoken

    tiktoken.get_encoding = lambda name: NoTokens()


def main() -> None:
    chosen = options(
        __doc__,
        steps={"type": int, "default": 1},
        folder={"default": "", "help": "artifacts"},
        timeout={"type": int, "default": 0, "help": "of a request, in seconds; 0: its own"},
        buffer={"type": int, "default": 1000, "help": "rows a batch, its own default"},
    )
    offline()
    import data_designer.config as config
    import pandas as pd
    from data_designer.config.models import ChatCompletionInferenceParams, ModelConfig, ModelProvider
    from data_designer.config.run_config import RunConfig
    from data_designer.interface import DataDesigner

    provider = ModelProvider(name="bench", endpoint=chosen.url, api_key="none")
    designer = DataDesigner(artifact_path=chosen.folder or tempfile.mkdtemp(), model_providers=[provider])
    designer.set_run_config(RunConfig(otel_metrics_port=None, buffer_size=chosen.buffer, disable_early_shutdown=True))
    parameters = ChatCompletionInferenceParams(max_parallel_requests=chosen.concurrency, timeout=chosen.timeout or None)
    model = ModelConfig(
        alias="any", model="any", provider="bench", skip_health_check=True, inference_parameters=parameters
    )
    columns = config.DataDesignerConfigBuilder(model_configs=[model])
    frame = pd.DataFrame({"question": [question(n) for n in range(chosen.tasks)]})
    columns.with_seed_dataset(config.DataFrameSeedSource(df=frame))
    prompts = {"answer": "{{ question }}", "judgement": JUDGE.format(question="{{ question }}", answer="{{ answer }}")}
    for name, prompt in list(prompts.items())[: chosen.steps]:
        columns.add_column(config.LLMTextColumnConfig(name=name, model_alias="any", prompt=prompt))
    with Clock() as clock:
        made = designer.create(columns, num_records=chosen.tasks, dataset_name="bench").load_dataset()
    clock.report("data-designer", "httpx", tasks=len(made))


if __name__ == "__main__":
    main()
