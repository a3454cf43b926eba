"""The original's models as plain formulas over its tensors, written from its description, to compare with.

Random tensors of the shapes that a config implies stand for a trained model. Every formula is its own: nothing of the
converter or of tp's modules is used.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Tensors = dict[str, Tensor]

_DEFAULTS: dict[str, Any] = {
    "encoder": "transformer",
    "max_seq_length": 512,
    "mask": "fully_visible",
    "layernorm": "normal",
    "layernorm_eps": 1e-6,
    "layernorm_positioning": "post",
    "feed_forward": "dense",
    "relative_attention_buckets_num": 32,
    "pooling": "first",
    "patch_size": 16,
    "image_height": 256,
    "image_width": 256,
    "channels_num": 3,
}


class Config(dict[str, Any]):
    """A config with the original's defaults; other keys are None."""

    def __missing__(self, key: str) -> Any:
        return _DEFAULTS.get(key)


# -- tensors -----------------------------------------------------------------------------------------------------


class Maker:
    """Makes the tensors of a config, under the original's names."""

    def __init__(self, config: dict[str, Any], vocabulary: int, target_vocabulary: int | None = None) -> None:
        self.tensors: Tensors = {}
        self.vocabulary, self.target_vocabulary = vocabulary, target_vocabulary or vocabulary
        self.generator = torch.Generator().manual_seed(0)
        self.config = Config(config)
        self._model()

    def _draw(self, name: str, *shape: int, around: float = 0.0) -> None:
        self.tensors[name] = around + 0.3 * torch.randn(shape, generator=self.generator)

    def _linear(self, name: str, inputs: int, outputs: int, bias: bool = True) -> None:
        self._draw(f"{name}.weight", outputs, inputs)
        if bias:
            self._draw(f"{name}.bias", outputs)

    def _norm(self, name: str, size: int, kind: str = "normal") -> None:
        if kind in ("t5", "rms"):
            self._draw(f"{name}.weight", size, around=1)
        else:
            self._draw(f"{name}.gamma", size, around=1)
            self._draw(f"{name}.beta", size)

    def _model(self) -> None:
        c = self.config
        if c["encoder"] == "dual":
            self._dual()
        else:
            self._embedding(c, c["embedding"], "embedding", self.vocabulary)
            self._encoder(c, "encoder")
        if c["decoder"]:
            self._embedding(c, c["tgt_embedding"], "tgt_embedding", self.target_vocabulary)
            if c["share_embedding"]:
                self.tensors["tgt_embedding.word.embedding.weight"] = self.tensors["embedding.word.embedding.weight"]
            self._decoder(c)
        for name in c["target"] or []:
            self._target(c, name)

    def _dual(self) -> None:
        c = self.config
        for number in (0, 1):
            side = Config({**c, **c[f"stream_{number}"]})
            self._embedding(side, side["embedding"], f"embedding.dual.embedding_{number}", self.vocabulary)
            if not side["remove_embedding_layernorm"]:
                self._norm(f"embedding.dual.stream_{number}_layer_norm", side["emb_size"])
            self._encoder(side, f"encoder.encoder_{number}")
        if c["tie_weights"]:
            for of, copy in (
                ("embedding.dual.embedding_0.", "embedding.dual.embedding_1."),
                ("encoder.encoder_0.", "encoder.encoder_1."),
            ):
                for name in [name for name in self.tensors if name.startswith(of)]:
                    self.tensors[name.replace(of, copy)] = self.tensors[name]

    def _embedding(self, c: Config, names: list[str], prefix: str, vocabulary: int) -> None:
        size = c["emb_size"]
        if not c["remove_embedding_layernorm"]:
            self._norm(f"{prefix}.layer_norm", size)
        for name in names:
            own = f"{prefix}.{name}"
            if name == "word":
                self._draw(f"{own}.embedding.weight", vocabulary, size)
            elif name == "pos":
                self._draw(f"{own}.embedding.weight", c["max_seq_length"], size)
            elif name == "seg":
                self._draw(f"{own}.embedding.weight", 3, size)
            elif name in ("patch", "masked_patch"):
                self._patches(c, own)
                if name == "masked_patch":
                    self._draw(f"{own}.mask_emb", 1, size)
            elif name == "word_patch":
                self._draw(f"{own}.language_embedding.embedding.weight", vocabulary, size)
                self._patches(c, f"{own}.vision_embedding")
            elif name == "speech":
                inputs = c["audio_feature_size"]
                for number, (channels, width) in enumerate(zip(c["conv_channels"], c["conv_kernel_sizes"])):
                    self._draw(f"{own}.conv.conv_layers.{number}.0.weight", channels, inputs, width)
                    self._draw(f"{own}.conv.conv_layers.{number}.0.bias", channels)
                    inputs = channels // 2

    def _patches(self, c: Config, own: str) -> None:
        self._draw(f"{own}.cls_emb", 1, 1, c["emb_size"])
        self._draw(f"{own}.projection.weight", c["emb_size"], c["channels_num"], c["patch_size"], c["patch_size"])

    def _attention(self, c: Config, own: str) -> None:
        hidden, heads, bias = c["hidden_size"], c["heads_num"], not c["remove_transformer_bias"]
        size = c["attention_head_size"] or hidden // heads
        for number, count in enumerate((heads, c["local_kv_heads_num"] or heads, c["local_kv_heads_num"] or heads)):
            self._linear(f"{own}.linear_layers.{number}", hidden, count * size, bias)
        self._linear(f"{own}.final_linear", heads * size, hidden, bias)

    def _layer(self, c: Config, own: str, decoder: bool = False) -> None:
        hidden, inner, bias = c["hidden_size"], c["feedforward_size"], not c["remove_transformer_bias"]
        self._attention(c, f"{own}.self_attn")
        if decoder:
            self._attention(c, f"{own}.context_attn")
        if c["feed_forward"] == "gated":
            self._linear(f"{own}.feed_forward.linear_gate", hidden, inner, bias)
        self._linear(f"{own}.feed_forward.linear_1", hidden, inner, bias)
        self._linear(f"{own}.feed_forward.linear_2", inner, hidden, bias)
        for number in range(1, 4 if decoder else 3):
            self._norm(f"{own}.layer_norm_{number}", hidden, c["layernorm"])

    def _encoder(self, c: Config, prefix: str) -> None:
        kind, hidden, size = c["encoder"], c["hidden_size"], c["emb_size"]
        if kind == "transformer":
            shared = c["parameter_sharing"]
            for number in range(1 if shared else c["layers_num"]):
                self._layer(c, f"{prefix}.transformer" + ("" if shared else f".{number}"))
            if c["factorized_embedding_parameterization"]:
                self._linear(f"{prefix}.linear", size, hidden)
            if c["layernorm_positioning"] == "pre":
                self._norm(f"{prefix}.layer_norm", hidden, c["layernorm"])
            if c["relative_position_embedding"]:
                table = "relative_pos_emb.relative_attention_bias.weight"
                self._draw(f"{prefix}.transformer.0.{table}", c["relative_attention_buckets_num"], c["heads_num"])
                for number in range(1, c["layers_num"]):
                    self.tensors[f"{prefix}.transformer.{number}.{table}"] = self.tensors[
                        f"{prefix}.transformer.0.{table}"
                    ]
                self._draw(f"{prefix}.{table}", c["relative_attention_buckets_num"], c["heads_num"])  # never used
        elif kind == "gatedcnn":
            width = c["kernel_size"]
            for part in ("conv", "gate"):
                self._draw(f"{prefix}.{part}_1.weight", hidden, 1, width, size)
                self._draw(f"{prefix}.{part}_1.bias", hidden)
                self._draw(f"{prefix}.{part}_b1", 1, hidden, 1, 1)
                for number in range(c["layers_num"] - 1):
                    self._draw(f"{prefix}.{part}.{number}.weight", hidden, hidden, width, 1)
                    self._draw(f"{prefix}.{part}.{number}.bias", hidden)
                    self._draw(f"{prefix}.{part}_b.{number}", 1, hidden, 1, 1)
        else:
            for name, module in networks(c).items():
                for key, value in module.state_dict().items():
                    self._draw(f"{prefix}.{name}.{key}", *value.shape)

    def _decoder(self, c: Config) -> None:
        for number in range(c["decoder_layers_num"]):
            self._layer(c, f"decoder.transformer_decoder.{number}", decoder=True)
        if c["layernorm_positioning"] == "pre":
            self._norm("decoder.layer_norm", c["hidden_size"], "t5" if c["layernorm"] == "t5" else "normal")
        if c["relative_position_embedding"]:
            name = "decoder.self_pos_emb.relative_attention_bias.weight"
            self._draw(name, c["relative_attention_buckets_num"], c["heads_num"])

    def _target(self, c: Config, name: str) -> None:
        hidden, own = c["hidden_size"], f"target.{name}"
        words = self.tensors.get("embedding.word.embedding.weight")
        if name == "mlm":
            inner = c["emb_size"] if c["factorized_embedding_parameterization"] else hidden
            self._linear(f"{own}.linear_1", hidden, inner)
            self._norm(f"{own}.layer_norm", inner)
            self._linear(f"{own}.linear_2", inner, self.vocabulary)
            if c["tie_weights"] and words is not None:
                self.tensors[f"{own}.linear_2.weight"] = words
        elif name in ("sp", "cls"):
            self._linear(f"{own}.linear_1", hidden, hidden)
            self._linear(f"{own}.linear_2", hidden, 2 if name == "sp" else c["labels_num"])
        elif name in ("lm", "bilm"):
            size = hidden if name == "lm" else hidden // 2
            self._linear(f"{own}.output_layer", size, self.target_vocabulary, bool(c["has_lmtarget_bias"]))
            if c["tie_weights"] and name == "lm" and not c["share_embedding"]:
                tied = self.tensors.get("tgt_embedding.word.embedding.weight", words)
                assert tied is not None
                self.tensors[f"{own}.output_layer.weight"] = tied
        elif name == "clr":
            self.tensors[f"{own}.logit_scale"] = torch.tensor(2.5)
            for number in (0, 1) if c["projection"] else ():
                self._draw(
                    f"{own}.encoder_{number}_projection", c[f"stream_{number}"]["hidden_size"], c["feature_size"]
                )


def networks(c: Config) -> dict[str, nn.RNNBase]:
    """The recurrent networks of an encoder, by name."""
    kind = c["encoder"]
    cls = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[kind.removeprefix("bi")]
    separate = kind.startswith("bi")
    half = separate or c["bidirectional"]
    size = c["hidden_size"] // 2 if half else c["hidden_size"]
    options = {
        "num_layers": c["layers_num"],
        "batch_first": True,
        "bidirectional": bool(c["bidirectional"] and not separate),
    }
    return {
        name: cls(c["emb_size"], size, **options)
        for name in (("rnn_forward", "rnn_backward") if separate else ("rnn",))
    }


# -- formulas ----------------------------------------------------------------------------------------------------


def norm(t: Tensors, name: str, x: Tensor, eps: float = 1e-6) -> Tensor:
    if f"{name}.weight" in t:
        return x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * t[f"{name}.weight"]
    mean, spread = x.mean(-1, keepdim=True), x.std(-1, keepdim=True, unbiased=True)
    return t[f"{name}.gamma"] * (x - mean) / (spread + eps) + t[f"{name}.beta"]


def linear(t: Tensors, name: str, x: Tensor) -> Tensor:
    return F.linear(x, t[f"{name}.weight"], t.get(f"{name}.bias"))


_ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu_fast": lambda x: 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x.pow(3)))),
    "relu": F.relu,
    "silu": F.silu,
    "linear": lambda x: x,
}


def sinusoids(c: Config, length: int, start: int = 2) -> Tensor:
    """Positions from row 2, with the exponents of tensor2tensor; halves for speech, else alternating."""
    size = c["emb_size"]
    half = size // 2
    rates = torch.exp(-torch.arange(half) * (math.log(10000) / (half - 1)))
    angles = torch.arange(start, start + length)[:, None] * rates
    if "speech" in c["embedding"]:
        return torch.cat([angles.sin(), angles.cos()], dim=1)
    return torch.stack([angles.sin(), angles.cos()], dim=2).flatten(1)


def embed(t: Tensors, c: Config, names: list[str], prefix: str, src: Any, seg: Tensor) -> Tensor:
    total: Any = 0
    scale = math.sqrt(c["emb_size"]) if "sinusoidalpos" in c["embedding"] else 1.0
    for name in names:
        own = f"{prefix}.{name}"
        if name == "word":
            part = t[f"{own}.embedding.weight"][src] * scale
        elif name == "pos":
            part = t[f"{own}.embedding.weight"][: seg.shape[1]]
        elif name == "seg":
            part = t[f"{own}.embedding.weight"][seg]
        elif name == "sinusoidalpos":
            part = sinusoids(c, seg.shape[1]) * (seg > 0)[..., None]
        elif name == "patch":
            part = patches(t, c, own, src)
        elif name == "masked_patch":
            part = patches(t, c, own, src[0])
            part = torch.where(src[1][..., None], t[f"{own}.mask_emb"], part)
        elif name == "word_patch":
            words = t[f"{own}.language_embedding.embedding.weight"][src[0]]
            part = torch.cat([words, patches(t, c, f"{own}.vision_embedding", src[1])], dim=1)
        elif name == "speech":
            x = src.transpose(1, 2)
            for number, width in enumerate(c["conv_kernel_sizes"]):
                layer = f"{own}.conv.conv_layers.{number}.0"
                x = F.glu(F.conv1d(x, t[f"{layer}.weight"], t[f"{layer}.bias"], stride=2, padding=width // 2), dim=1)
            part = x.transpose(1, 2) * scale
        total = total + part
    return total if c["remove_embedding_layernorm"] else norm(t, f"{prefix}.layer_norm", total)


def patches(t: Tensors, c: Config, own: str, pixels: Tensor) -> Tensor:
    found = F.conv2d(pixels, t[f"{own}.projection.weight"], stride=c["patch_size"]).flatten(2).transpose(1, 2)
    return torch.cat([t[f"{own}.cls_emb"].expand(len(found), -1, -1), found], dim=1)


def buckets(c: Config, queries: int, keys: int, both: bool) -> Tensor:
    """T5's buckets of distances."""
    count = c["relative_attention_buckets_num"]
    found = torch.zeros(queries, keys, dtype=torch.long)
    for query in range(queries):
        for key in range(keys):
            distance, start, number = key - query, 0, count
            if both:
                number //= 2
                start, distance = (number if distance > 0 else 0), abs(distance)
            else:
                distance = max(-distance, 0)
            exact = number // 2
            if distance >= exact:
                far = math.log(distance / exact) / math.log(128 / exact) * (number - exact)
                distance = min(exact + int(far), number - 1)
            found[query, key] = start + distance
    return found


def rotated(x: Tensor, size: int) -> Tensor:
    """Meta's rotary positions: neighbouring channels are a complex number. (batch, length, heads, size)."""
    rates = 1.0 / (10000.0 ** (torch.arange(0, size, 2).double() / size))
    turn = torch.polar(torch.ones(1, dtype=torch.double), torch.arange(x.shape[1])[:, None] * rates)
    pairs = torch.view_as_complex(x.double().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(pairs * turn[None, :, None, :]).flatten(3).to(x.dtype)


def attend(
    t: Tensors,
    c: Config,
    own: str,
    x: Tensor,
    memory: Tensor,
    mask: Tensor,
    bias: Tensor | None,
    before: Tensor | None,
    rotary: bool,
) -> tuple[Tensor, Tensor]:
    heads = c["heads_num"]
    size = c["attention_head_size"] or c["hidden_size"] // heads
    groups = c["local_kv_heads_num"] or heads
    q = linear(t, f"{own}.linear_layers.0", x).unflatten(-1, (heads, size))
    k = linear(t, f"{own}.linear_layers.1", memory).unflatten(-1, (groups, size))
    v = linear(t, f"{own}.linear_layers.2", memory).unflatten(-1, (groups, size))
    if rotary:
        q, k = rotated(q, size), rotated(k, size)
    k, v = (each.repeat_interleave(heads // groups, dim=2) for each in (k, v))
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k)
    scores = scores if bias is None else scores + bias
    scores = scores if c["remove_attention_scale"] else scores / math.sqrt(size)
    scores = scores + mask
    if c["has_residual_attention"] and before is not None:
        scores = scores + before
    mixed = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)
    return linear(t, f"{own}.final_linear", mixed), scores


def feed_forward(t: Tensors, c: Config, own: str, x: Tensor) -> Tensor:
    act = _ACTIVATIONS[c["hidden_act"]]
    inner = linear(t, f"{own}.linear_1", x)
    inner = act(linear(t, f"{own}.linear_gate", x)) * inner if c["feed_forward"] == "gated" else act(inner)
    return linear(t, f"{own}.linear_2", inner)


def visible(c: Config, seg: Tensor) -> Tensor:
    length = seg.shape[1]
    later = torch.ones(length, length).tril()[None].expand(len(seg), -1, -1)
    if c["mask"] == "fully_visible":
        seen = (seg > 0)[:, None, :].expand(-1, length, -1)
    elif c["mask"] == "causal":
        seen = later > 0
    else:
        seen = ((seg == 1)[:, None, :].float() + (seg > 0)[:, None, :].float() + later) >= 2
    return (1 - seen[:, None].float()) * -10000.0


def encode(t: Tensors, c: Config, prefix: str, x: Tensor, seg: Tensor) -> Tensor:
    kind = c["encoder"]
    if kind == "gatedcnn":
        return gated_cnn(t, c, prefix, x)
    if kind != "transformer":
        return recurrent(t, c, prefix, x)
    if c["factorized_embedding_parameterization"]:
        x = linear(t, f"{prefix}.linear", x)
    pre, eps, mask, scores = c["layernorm_positioning"] == "pre", c["layernorm_eps"], visible(c, seg), None
    bias = None
    if c["relative_position_embedding"]:
        table = t[f"{prefix}.transformer.0.relative_pos_emb.relative_attention_bias.weight"]
        bias = table[buckets(c, x.shape[1], x.shape[1], both=True)].permute(2, 0, 1)[None]
    for number in range(c["layers_num"]):
        layer = f"{prefix}.transformer" + ("" if c["parameter_sharing"] else f".{number}")
        rotary = bool(c["rotary_position_embedding"])
        given = norm(t, f"{layer}.layer_norm_1", x, eps) if pre else x
        update, scores = attend(t, c, f"{layer}.self_attn", given, given, mask, bias, scores, rotary)
        x = x + update if pre else norm(t, f"{layer}.layer_norm_1", x + update, eps)
        given = norm(t, f"{layer}.layer_norm_2", x, eps) if pre else x
        update = feed_forward(t, c, f"{layer}.feed_forward", given)
        x = x + update if pre else norm(t, f"{layer}.layer_norm_2", x + update, eps)
    return norm(t, f"{prefix}.layer_norm", x, eps) if pre else x


def decode(t: Tensors, c: Config, memory: Tensor, x: Tensor, seg: Tensor) -> Tensor:
    pre, eps, length = c["layernorm_positioning"] == "pre", c["layernorm_eps"], x.shape[1]
    own = (1 - torch.ones(length, length).tril()) * -10000.0
    other = (1 - (seg > 0)[:, None, None, :].float()) * -10000.0
    bias = None
    if c["relative_position_embedding"]:
        table = t["decoder.self_pos_emb.relative_attention_bias.weight"]
        bias = table[buckets(c, length, length, both=False)].permute(2, 0, 1)[None]
    plain = Config({**c, "has_residual_attention": False})
    for number in range(c["decoder_layers_num"]):
        layer = f"decoder.transformer_decoder.{number}"
        for place, part in enumerate(("self_attn", "context_attn", "feed_forward"), 1):
            given = norm(t, f"{layer}.layer_norm_{place}", x, eps) if pre else x
            if part == "self_attn":
                update, _ = attend(t, plain, f"{layer}.{part}", given, given, own, bias, None, False)
            elif part == "context_attn":
                update, _ = attend(t, plain, f"{layer}.{part}", given, memory, other, None, None, False)
            else:
                update = feed_forward(t, c, f"{layer}.{part}", given)
            x = x + update if pre else norm(t, f"{layer}.layer_norm_{place}", x + update, eps)
    return norm(t, "decoder.layer_norm", x) if pre else x


def recurrent(t: Tensors, c: Config, prefix: str, x: Tensor) -> Tensor:
    found = {}
    for name, module in networks(c).items():
        own = {key: t[f"{prefix}.{name}.{key}"] for key in module.state_dict()}
        module.load_state_dict(own)
        module.eval()
        found[name] = module(x.flip(1) if name == "rnn_backward" else x)[0]
    return found["rnn"] if "rnn" in found else torch.cat([found["rnn_forward"], found["rnn_backward"].flip(1)], dim=2)


def gated_cnn(t: Tensors, c: Config, prefix: str, x: Tensor) -> Tensor:
    width, block = c["kernel_size"], c["block_size"]

    def layer(number: int, given: Tensor) -> Tensor:
        parts = []
        for part in ("conv", "gate"):
            name, more = (
                (f"{part}_1", f"{part}_b1") if number == 0 else (f"{part}.{number - 1}", f"{part}_b.{number - 1}")
            )
            weight = t[f"{prefix}.{name}.weight"]
            weight = weight[:, 0].transpose(1, 2) if number == 0 else weight[..., 0]
            bias = t[f"{prefix}.{name}.bias"] + t[f"{prefix}.{more}"].flatten()
            parts.append(F.conv1d(F.pad(given, (width - 1, 0)), weight, bias))
        return parts[0] * parts[1].sigmoid()

    states = before = layer(0, x.transpose(1, 2))
    for number in range(1, c["layers_num"]):
        states = layer(number, states)
        if number % block == 0:
            states = before = states + before
    return states.transpose(1, 2)


def features(
    t: Tensors, config: dict[str, Any], src: Any, seg: Any, tgt: Tensor | None = None, tgt_seg: Tensor | None = None
) -> Any:
    """The final states of the model: (batch, length, hidden), or one for each stream."""
    c = Config(config)
    if c["encoder"] == "dual":
        found = []
        for number in (0, 1):
            side = Config({**c, **c[f"stream_{number}"]})
            x = embed(t, side, side["embedding"], f"embedding.dual.embedding_{number}", src[number], seg[number])
            if not side["remove_embedding_layernorm"]:
                x = norm(t, f"embedding.dual.stream_{number}_layer_norm", x)
            found.append(encode(t, side, f"encoder.encoder_{number}", x, seg[number]))
        return found
    states = encode(t, c, "encoder", embed(t, c, c["embedding"], "embedding", src, seg), seg)
    if c["decoder"]:
        assert tgt is not None
        assert tgt_seg is not None
        states = decode(t, c, states, embed(t, c, c["tgt_embedding"], "tgt_embedding", tgt, tgt_seg), seg)
    return states
