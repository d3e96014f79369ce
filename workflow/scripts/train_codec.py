import json

from noencore import codec, codec_training, logs
from noencore.files import write_json

logs.start(snakemake.log[0])
settings = json.loads(snakemake.params.spec)["codec_training"]
shape = codec.CodecConfig(
    ratios=tuple(settings["ratios"]), **{k: settings[k] for k in ("filters", "dimension", "codebooks", "card")}
)
recipe = codec_training.CodecTraining(**{k: settings[k] for k in ("steps", "batch", "crop", "lr", "seed")})
waves, held_out = codec_training.training_waves(
    settings["collection"], settings["tunes"], settings["seconds"], settings["seed"]
)
model = codec_training.train(
    waves, shape, recipe, lambda steps: logs.progress(steps, "codec"), lambda **values: logs.log.info("%s", values)
)
codec.save(model, shape, snakemake.output.codec)
report = codec_training.evaluate(codec.Codec(snakemake.output.codec), held_out)
write_json({"settings": settings, "held_out": report}, snakemake.output.report)
