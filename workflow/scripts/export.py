from pathlib import Path

from noencore import logs
from noencore.musicgen.package import load_model
from noencore.musicgen.released import save_released

logs.start(snakemake.log[0])
model = load_model(Path(snakemake.input.weights).parent)
counts = save_released(model, Path(snakemake.input.package).parent, snakemake.output.released)
logs.log.info(
    "%d of %d weights differ from the package; a reader in fp16, as audiocraft on a GPU, undoes %d of these changes",
    counts["changed"],
    counts["weights"],
    counts["undone_by_fp16"],
)
