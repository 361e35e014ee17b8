"""Extracts the data sets from the scikit-learn wheel in FOLDER. Usage: unpack_datasets.py FOLDER

The tables get a header and class names. In the wheel, the first line has the numbers of rows and columns and the class names,
and each row ends with its class index.
"""

import gzip
import pathlib
import sys
import zipfile

PLACE = "sklearn/datasets/data/"

MEASURED = ["radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points"]
MEASURED += ["symmetry", "fractal dimension"]

# The column names in the documentation of scikit-learn.
COLUMNS = {
    "iris": ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"],
    "wine": [
        *["alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids"],
        *["nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines"],
        "proline",
    ],
    "breast-cancer": [
        *[f"mean {name}" for name in MEASURED],
        *[f"{name} error" for name in MEASURED],
        *[f"worst {name}" for name in MEASURED],
    ],
}
LABEL = {"iris": "species", "wine": "cultivar", "breast-cancer": "diagnosis"}
FILE = {"iris": "iris.csv", "wine": "wine_data.csv", "breast-cancer": "breast_cancer.csv"}


def table(name, text):
    first, *rows = text.splitlines()
    classes = first.split(",")[2:]
    lines = [",".join([*COLUMNS[name], LABEL[name]])]
    for row in rows:
        values, index = row.rsplit(",", 1)
        lines.append(f"{values},{classes[int(index)]}")
    return "\n".join(lines) + "\n"


def diabetes(rows, targets):
    """The measurements in their units, and the number to predict: disease progression one year later."""
    lines = ["age,sex,bmi,bp,s1,s2,s3,s4,s5,s6,progression"]
    for row, target in zip(rows.splitlines(), targets.splitlines(), strict=True):
        lines.append(",".join([*row.split(), str(int(float(target)))]))
    return "\n".join(lines) + "\n"


def unzipped(name):
    return gzip.decompress(archive.read(PLACE + name))


folder = pathlib.Path(sys.argv[1])
(wheel,) = folder.glob("*.whl")
archive = zipfile.ZipFile(wheel)
(folder / "digits.csv").write_bytes(unzipped("digits.csv.gz"))
progression = diabetes(unzipped("diabetes_data_raw.csv.gz").decode(), unzipped("diabetes_target.csv.gz").decode())
(folder / "diabetes.csv").write_text(progression, newline="\n")
for name, file in FILE.items():
    (folder / f"{name}.csv").write_text(table(name, archive.read(PLACE + file).decode()), newline="\n")
