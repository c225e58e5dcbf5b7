"""KBI dossiers as they are exchanged (``kbi-xml``): one XML answer per person, flattened into the extracts.

Here, one module per step: which files are dossiers and what is written of them (``flattening.py``), what an answer is
and when it cannot be taken (``answers.py``), what a good one holds (``blocks.py``), the two things of courses that no
element says outright (``courses.py``), and the files by themselves (``files.py``). Not here: any verdict on a row.
What an element holds is handed on as it is written, so that the rules of ``schemas/`` judge it as they judge the same
value in a table.
"""

from orchestration.dossiers.files import contents, rewrite
from orchestration.dossiers.flattening import FLATTENED_EXTRACTS, IS_DUPLICATE, Flattened, dossier_names, flatten

__all__ = ["FLATTENED_EXTRACTS", "IS_DUPLICATE", "Flattened", "contents", "dossier_names", "flatten", "rewrite"]
