"""The prose of `tb-exosomal-mirna`: what a pathologist has to know before looking at a number."""

from __future__ import annotations

from service.registry.manifest_base import NOT_AVAILABLE

SUMMARY = (
    "A logistic regression on six exosomal miRNAs that tells people with pulmonary tuberculosis from healthy people in "
    "one published cohort. Its inputs are the z-scores of that study. A study's z-score cannot be computed for a new "
    "patient, so this is a demonstration of the service, not a test."
)

TEXTS = {
    "purpose": (
        "To show a real panel scored end to end, and to compare installations of the service with each other. "
        "It is not made to find or to exclude tuberculosis in anybody."
    ),
    "population": (
        "The source compares people with pulmonary tuberculosis and healthy people. Ages and sexes are not in the "
        "data: adults are assumed, and any sex is accepted."
    ),
    "haemolysis": (
        "Cq(hsa-miR-23a-3p) minus Cq(hsa-miR-451a), limits 5 and 7 as used in practice after the biofluid guideline "
        "of Exiqon/QIAGEN; the panel holds hsa-miR-486-5p, which red cells release"
    ),
    "delay": "plasma within 2 hours at room temperature for miRNA (PMC5048034)",
    "cut_point": (
        "Greatest sensitivity + specificity on out-of-fold predictions, {folds} folds, {repeats} repeats, to three "
        "decimals, the lowest of equals; interval from a bootstrap over people. No value of the test split enters it; "
        "but test figures of another averaging of the folds had been seen when this averaging was settled."
    ),
    "cohort": (
        "90 people with pulmonary tuberculosis and 130 healthy people; six miRNAs by RT-qPCR from blood exosomes, "
        "standardised over all of them together. The split into train and test is the source's own random split."
    ),
    "procedure": (
        "Standard scaling and L2-penalised logistic regression on the train split. Penalty C by {folds}-fold "
        "stratified cross-validation on log loss among {grid}; everything that is learned is learned inside each fold. "
        "Calibration was checked and not corrected."
    ),
}

LIMITATIONS = [
    "The inputs are z-scores over one study's people, cases and controls together. No laboratory can compute them for "
    "a new patient, because the study's centre and spread on the Cq scale are not in the data.",
    "Train and test are a random split of jointly scaled rows: the test split is no external cohort, and scaling saw "
    "both. Expect less in any other laboratory.",
    "The share of tuberculosis in the study (90 of 220) is set by its design and is not a prevalence. The score is no "
    "probability that a person has tuberculosis, and predictive values cannot be read from it.",
    "Controls are healthy people. How the score behaves in other lung disease, in HIV infection, in latent or "
    "extrapulmonary tuberculosis and under treatment is not known.",
    "The source prints miRNA names without the arm. The 5p arm of miR-20a, miR-20b, miR-26a, miR-106a, miR-191 and "
    "miR-486 is an assumption of this version.",
    "The source does not say whether the blood was taken as plasma or as serum; both are accepted for that reason "
    "only.",
    "Nothing checks yet whether a panel lies within the distribution the model was fitted on (applicability), and the "
    "score carries no interval.",
    "The source repository states no licence for its data in what was read. What ships here are fitted coefficients "
    "and summary parameters, no row of the data. Whoever uses this version commercially has to clear that with the "
    "source.",
    "hsa-miR-486-5p rises with haemolysis. Without Cq values of hsa-miR-23a-3p and hsa-miR-451a haemolysis is not "
    "assessed.",
]

WARNINGS = [
    {
        "code": "demonstration_only",
        "text": "A study's z-score cannot be computed for a new patient: this is a demonstration, not a test.",
    },
    {"code": "no_external_validation", "text": "No other cohort has been scored with this version."},
    {"code": "arm_assumed", "text": "The 5p arm of all six miRNAs is assumed; the source does not print it."},
]

CARD = {
    "developer": "The ExoScore engineers, from public data of another group",
    "funding": NOT_AVAILABLE,
    "release_stage": "Demonstration, research use only",
    "regulatory_approval": "None",
    "clinical_risk_level": "Not for clinical use; a decision based on it could leave tuberculosis untreated",
    "how_to_use": (
        "Send the six z-scores as the source study gives them, with unit {zscore}. Read the category together with the "
        "quality checks, and never as a finding about a person."
    ),
    "participants": (
        "90 people with pulmonary tuberculosis and 130 healthy people, one study. Recruitment, eligibility, ages and "
        "sexes are not in the data this version was fitted on."
    ),
    "treatments": NOT_AVAILABLE,
    "outcome_definition": "The diagnosis as the source study labels it; its reference standard is in the publication",
    "measurement": (
        "RT-qPCR of six miRNAs from blood exosomes, standardised over all people of the study; higher means more "
        "expressed. These are no Cq values."
    ),
    "input_data_source": "The requesting laboratory or program; every value is checked for unit and plausible range",
    "missing_input_handling": (
        "A panel with a missing, undetected, censored or implausible value is refused. Nothing is imputed or "
        "substituted."
    ),
    "analysis_methods": (
        "Penalised logistic regression; penalty, coefficients and cut-point from the train split only; nested "
        "cross-validation over all people for the procedure; permuted labels as negative control. Test figures were "
        "seen while the procedure was written, so the cross-validated figure is the safer one."
    ),
    "interpretation": (
        "The score orders people of the source study: a person with tuberculosis scores higher than a healthy one "
        "about four times out of five. At the cut-point both misses and false alarms are common."
    ),
    "fairness": "Not assessed: the data hold no age, sex, ethnicity or region",
    "bias_and_ethics": (
        "Case-control selection exaggerates accuracy. Site, season, storage and batch may differ between the groups "
        "and cannot be told from the disease in this data."
    ),
    "external_validation": "None",
    "net_benefit": NOT_AVAILABLE,
    "usefulness": "Not shown for any clinical purpose",
    "safety": "Not studied; the service withholds a score where a measured quality gate fails",
    "monitoring": "None planned for a demonstration; every score and its inputs' digest are audited by the service",
    "update_schedule": "A later version is planned with applicability limits and an interval; 1.0.0 itself never "
    "changes",
    "security": "The estimator file is never opened while serving; the coefficients in the manifest are what is served",
    "stakeholders": NOT_AVAILABLE,
    "third_party_information": "Data of Hu X et al. (2019), read from a public repository",
    "protocol": NOT_AVAILABLE,
    "data_availability": "Public repository named under training data; no person's row is part of the artifact",
    "code_availability": "Part of the service: python -m service.training tb-exosomal-mirna",
    "patient_consent": NOT_AVAILABLE,
    "clinical_trial": NOT_AVAILABLE,
    "reimbursement": NOT_AVAILABLE,
}
