# SPDX-License-Identifier: MIT
"""nibble as a model of lm-evaluation-harness: `nibble-lm-eval --model nibble --model_args pretrained=phi3.nbl --tasks
arc_easy`, which is the harness's own `lm_eval` after this module has told it of the model. A program that runs the
harness itself imports this module first."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Dict, List, Optional, Sequence, Tuple

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.models.utils import normalize_gen_kwargs
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window
from tqdm import tqdm

from ._errors import ArgumentError
from ._types import Message
from .model import Model

Tokens = List[int]
Scored = Tuple[float, bool]


@register_model("nibble")
class NibbleLM(TemplateLM):  # type: ignore[misc]
    """pretrained: a .nbl file, a checkpoint's folder or a .gguf file; threads, kv, cpu and batch as nibble.Model has
    them. The harness's batch_size and device change nothing: what is computed does not depend on batches."""

    def __init__(
        self,
        pretrained: str,
        threads: Optional[int] = None,
        kv: Optional[str] = None,
        cpu: Optional[str] = None,
        batch: Optional[int] = None,
        max_length: Optional[int] = None,
        max_gen_toks: int = 256,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: Any = None,
    ) -> None:
        super().__init__()
        self.model = Model(pretrained, threads=threads, kv=kv, cpu=cpu, batch=batch)
        self.max_length = int(max_length) if max_length else self.model.info.max_position
        self.max_gen_toks = int(max_gen_toks)
        self._device = "cpu"

    # ---- tokens ----

    @property
    def eot_token_id(self) -> int:
        if self.model.info.eos is None:
            raise ArgumentError(f"{self.model.path}: its tokenizer names no end token")
        return self.model.info.eos

    @property
    def prefix_token_id(self) -> int:
        bos = self.model.info.bos
        return self.eot_token_id if bos is None else bos

    @property
    def tokenizer_name(self) -> str:
        return self.model.path.replace("/", "__")

    def tok_encode(self, string: str, add_special_tokens: Optional[bool] = None, **ignored: Any) -> Tokens:
        return [int(i) for i in self.model.tokenize(string, special=add_special_tokens is not False)]

    def apply_chat_template(
        self, chat_history: Sequence[Dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        turns: List[Message] = [{"role": t["role"], "content": t["content"]} for t in chat_history]
        if add_generation_prompt:
            return self.model.chat(turns)
        # The last turn is the answer's beginning.
        return self.model.chat(turns[:-1]) + turns[-1]["content"]

    # ---- what the harness asks ----

    def _loglikelihood_tokens(
        self, requests: List[Tuple[Any, Tokens, Tokens]], disable_tqdm: bool = False, **ignored: Any
    ) -> List[Scored]:
        """Requests with the same context stand together: it is run once for all of them."""
        bar = tqdm(total=len(requests), disable=disable_tqdm, desc="nibble: log-likelihoods")
        scores: List[Scored] = []
        for ids, group in groupby((self._cut(c, e) + (key,) for key, c, e in requests), key=lambda r: r[0]):
            several = list(group)
            for (_, _, key), score in zip(several, self.model.score(ids, [r[1] for r in several])):
                scores.append((score.logprob, score.greedy))
                if key is not None:
                    self.cache_hook.add_partial("loglikelihood", key, scores[-1])
            bar.update(len(several))
        bar.close()
        return scores

    def _cut(self, context: Tokens, continuation: Tokens) -> Tuple[Tokens, Tokens]:
        """The last tokens that the model takes; the very last one is only predicted."""
        over = len(context) + len(continuation) - (self.max_length + 1)
        if over >= len(context):
            raise ArgumentError(f"a continuation of {len(continuation)} tokens; the model takes {self.max_length}")
        return (context[over:] if over > 0 else context), continuation

    def loglikelihood_rolling(self, requests: List[Instance], disable_tqdm: bool = False) -> List[float]:
        sums: List[float] = []
        for (text,) in tqdm([r.args for r in requests], disable=disable_tqdm, desc="nibble: texts"):
            windows = [
                (None,) + make_disjoint_window(w)
                for w in get_rolling_token_windows(self.tok_encode(text), self.prefix_token_id, self.max_length, 1)
            ]
            sums.append(sum(logprob for logprob, _ in self._loglikelihood_tokens(windows, disable_tqdm=True)))
            self.cache_hook.add_partial("loglikelihood_rolling", (text,), sums[-1])
        return sums

    def generate_until(self, requests: List[Instance], disable_tqdm: bool = False) -> List[str]:
        texts: List[str] = []
        for context, given in tqdm([r.args for r in requests], disable=disable_tqdm, desc="nibble: texts"):
            kwargs: Dict[str, Any] = normalize_gen_kwargs(given, self.max_gen_toks)
            room = self.max_length - int(kwargs["max_gen_toks"])
            if room < 1:
                raise ArgumentError(f"{kwargs['max_gen_toks']} new tokens; the model takes {self.max_length} in all")
            written = self.model.generate(
                self.tok_encode(context)[-room:],
                max_tokens=int(kwargs["max_gen_toks"]),
                temperature=float(kwargs.get("temperature") or 0.0),
                top_p=float(kwargs.get("top_p") or 1.0),
                stop=[s for s in kwargs["until"] if s],
            )
            texts.append(written.text)
            self.cache_hook.add_partial("generate_until", (context, given), written.text)
        return texts


def main() -> None:
    """The harness's command line, with the model."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
