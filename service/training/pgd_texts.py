"""The prose of `pgd-klkb1-inotrope`."""

from __future__ import annotations

from service.registry.manifest_base import NOT_AVAILABLE

SUMMARY = (
    "The published two-marker equation of KLKB1 in serum vesicles and inotrope therapy before heart transplantation. "
    "It has no intercept, so its number is an index and not a probability: it lies between 0 and 0.5 whatever the "
    "patient. A higher KLKB1 and inotrope therapy both lower it. KLKB1 was normalised over the cohort, which cannot be "
    "done for one patient."
)

TEXTS = {
    "purpose": (
        "To show a published equation served exactly as printed, and to compare installations of the service. It is "
        "not made to predict graft dysfunction in anybody."
    ),
    "population": (
        "Adult candidates for heart transplantation, sampled before it. The source says adults; the bounds 18 and 120 "
        "years are assumed, and any sex is accepted because the source names none."
    ),
    "sign": (
        "Used with the sign as printed: the index rises with s, and both coefficients are negative. The source names "
        "severe primary graft dysfunction as the event, so a higher index means more risk as published, within 0 to "
        "0.5."
    ),
    "procedure": (
        "As published: logistic regression with Monte Carlo cross-validation; the coefficients are averages and the "
        "intercept was left out. KLKB1 was scaled from 0 to 1 by the minimum and maximum of the cohort or batch."
    ),
}

LIMITATIONS = [
    "KLKB1 is a min-max over a cohort: (x - min) / (max - min). A min-max over a cohort does not exist for one "
    "patient, and the source locks no minimum and maximum. The service takes the already normalised value, in its own "
    "unit {minmax}, and cannot check how it was made.",
    "The equation has no intercept and both coefficients are negative, so the index is never above 0.5. It is not a "
    "calibrated probability and must not be read as a risk in per cent.",
    "No cut-point is published; the service gives no category.",
    "A higher KLKB1 gives a lower index. Whether low KLKB1 causes, marks or merely accompanies graft dysfunction is "
    "not known.",
    "88 patients of three centres; the source reports differences between centres.",
    "The validation used another assay, an ELISA of whole serum, with 7 cases among 65 patients. It does not validate "
    "this equation on vesicles.",
    "The source isolated vesicles from 100 uL serum with a modified precipitation kit; only precipitation is accepted. "
    "Serum tubes without anticoagulant are assumed.",
]

WARNINGS = [
    {
        "code": "cohort_relative_input",
        "text": "The KLKB1 input is normalised over a cohort, which cannot be done for a single patient.",
    },
    {"code": "index_not_probability", "text": "Without an intercept the number is an index of at most 0.5."},
    {"code": "no_external_validation", "text": "No other cohort has been scored with this equation."},
]

CARD = {
    "developer": "Giangreco NP and co-workers, Columbia University; transcribed by the ExoScore engineers",
    "funding": NOT_AVAILABLE,
    "release_stage": "Demonstration of a published equation, research use only",
    "regulatory_approval": "None",
    "clinical_risk_level": "Not for clinical use; a decision based on it could withhold or endanger a transplantation",
    "how_to_use": (
        "Send KLKB1 as normalised in the source, between 0 and 1 with unit {minmax}, and the covariate "
        "pretransplant_inotrope_therapy as 0 or 1 with unit 1. Compare indices only within one normalisation."
    ),
    "participants": "88 heart-transplant patients of three centres, matched for graft dysfunction",
    "treatments": "Inotrope therapy before transplantation is an input of the equation",
    "outcome_definition": "Severe primary graft dysfunction as the source defines it",
    "measurement": (
        "TMT10plex LC-MS/MS (SPS-MS3) of vesicles precipitated from 100 uL serum drawn before transplantation; KLKB1 "
        "scaled from 0 to 1 within the cohort or batch"
    ),
    "input_data_source": "The requesting laboratory; the clinical record for the inotrope therapy",
    "missing_input_handling": "A missing, undetected or out-of-range input is refused. Nothing is imputed or "
    "substituted.",
    "analysis_methods": "As published: logistic regression, Monte Carlo cross-validation; no refit here",
    "interpretation": (
        "An index between 0 and 0.5 that orders patients of the source cohort. 0.5 is KLKB1 at the cohort's minimum "
        "without inotrope therapy. As published, higher means more risk."
    ),
    "fairness": NOT_AVAILABLE,
    "bias_and_ethics": "Small matched cohort; centres differ; inotrope therapy reflects local practice",
    "external_validation": "None of this equation; KLKB1 by ELISA was tried on 65 patients",
    "net_benefit": NOT_AVAILABLE,
    "usefulness": "Not shown for any clinical purpose",
    "safety": NOT_AVAILABLE,
    "monitoring": "None planned for a demonstration; every score is audited by the service",
    "update_schedule": "None; an equation with locked bounds would be a new version",
    "security": "No estimator file; the terms in the manifest are what is served",
    "stakeholders": NOT_AVAILABLE,
    "third_party_information": "The equation is the subject of patent applications US20230273210A1 and WO2022060842A1",
    "protocol": NOT_AVAILABLE,
    "data_availability": NOT_AVAILABLE,
    "code_availability": "The source's code is in the repository named under references",
    "patient_consent": NOT_AVAILABLE,
    "clinical_trial": NOT_AVAILABLE,
    "reimbursement": NOT_AVAILABLE,
}
