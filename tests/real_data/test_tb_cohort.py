"""Every person of the test split goes through a real server; the answers give the card's figure and re-derive."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

from service.settings import shipped

pytestmark = pytest.mark.real_data
Server = Any
COLUMNS = {
    "miR-20a": "hsa-miR-20a-5p",
    "miR-20b": "hsa-miR-20b-5p",
    "miR-26a": "hsa-miR-26a-5p",
    "miR-106a": "hsa-miR-106a-5p",
    "miR-191": "hsa-miR-191-5p",
    "miR-486": "hsa-miR-486-5p",
}


def test_the_test_split_scored_over_http_gives_the_figure_on_the_card(
    server: Server, tb_request: dict[str, Any], shared_data: Path
) -> None:
    with (shared_data / "tb_blood_exosome_mirna.csv").open(newline="") as file:
        people = [row for row in csv.DictReader(file) if row["split"] == "test"]
    assert len(people) == 69
    values, truth = [], []
    with server.client() as client:
        for number, person in enumerate(people):
            tb_request["specimen"]["id"] = f"test-{number}"
            tb_request["measurements"] = [
                {"analyte": name, "value": float(person[column]), "unit": "{zscore}"}
                for column, name in COLUMNS.items()
            ]
            response = client.post("/v1/scores", json=tb_request)
            assert response.status_code == 201, response.text
            answer = response.json()
            logit = answer["score"]["baseline"] + math.fsum(c["term"] for c in answer["contributions"])
            assert 1 / (1 + math.exp(-logit)) == pytest.approx(answer["score"]["value"], abs=1e-12)
            values.append(answer["score"]["value"])
            truth.append(person["group"] == "pulmonary_tuberculosis")
    assert roc_auc_score(truth, values) == pytest.approx(card_auc(), abs=1e-9)
    assert 0.7 < card_auc() < 0.9


def card_auc() -> float:
    """The AUC of the test split as the manifest, and so the model card, states it."""
    manifest = json.loads((shipped("model_artifacts") / "tb-exosomal-mirna" / "1.0.0" / "manifest.json").read_text())
    (figure,) = [p["value"] for p in manifest["performance"] if p["metric"] == "AUC" and "test" in p["cohort"].lower()]
    return figure
