"""The items of three frameworks, each with the manifest fields that answer it.

- TRIPOD+AI: the 27 items of BMJ 2024;385:e078378.
- HTI-1: the 31 source attributes of a predictive decision support intervention in 9 categories, 45 CFR
  170.315(b)(11)(iv)(B).
- CHAI: the elements of the applied model card, mc-schema v0.2.

Items are told in our own words. What the manifest cannot answer is "not available" and stays on the card: a gap that
nobody sees is the gap that matters. Places below `/` are JSON pointers into the manifest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from service.registry.card_answers import answer
from service.registry.figure import Table
from service.registry.manifest import Manifest
from service.registry.manifest_base import NOT_AVAILABLE


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its number in the framework, what it asks for, and the fields that answer it; none where none can."""

    number: str
    asks: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework with its source and its items."""

    title: str
    source: str
    items: tuple[Item, ...]


def _items(prefix: str, rows: str) -> tuple[Item, ...]:
    """Items from lines `number | what it asks for | field field ...`."""
    found = []
    for line in rows.strip().splitlines():
        number, asks, fields = (part.strip() for part in line.split("|"))
        found.append(Item(prefix + number, asks, tuple(fields.split())))
    return tuple(found)


TRIPOD: Final = Framework(
    "TRIPOD+AI",
    "BMJ 2024;385:e078378, 27 items.",
    _items(
        "",
        """
        1 | Title: the kind of study, whom and what is predicted | /title /output/event
        2 | Abstract: a summary of the study | /summary
        3 | Background: the health question, the purpose, the users | /condition/text \
        /intended_use/purpose /intended_use/users
        4 | Objectives: whether a model is developed or evaluated | /card/analysis_methods
        5 | Data: sources and dates of those for development and for evaluation | /training/source /training/dates
        6 | Participants: setting, eligibility, treatments | /training/cohort /training/exclusions /card/treatments
        7 | Data preparation: what was done to the data before the analysis | /normalisation /card/measurement
        8 | Outcome: what was predicted, when, and who judged it | /card/outcome_definition /output/time_horizon
        9 | Predictors: which, and how measured | /panel /covariates /card/measurement
        10 | Sample size: how it came about | /training/classes
        11 | Missing data: how they were treated | /training/missing_data
        12 | Analytical methods: how the model was made and evaluated | /training/procedure /card/analysis_methods
        13 | Class imbalance: how large, and how it was treated | /training/classes
        14 | Fairness: what was done for it | /card/fairness
        15 | Output: what comes out, and how classes are made of it | /output/kind /output/cut_points
        16 | Development against evaluation: how the data differ | /card/external_validation
        17 | Ethical approval and consent | /card/patient_consent
        18 | Open science: funding, protocol, registration, data, code | /card/funding /card/protocol \
            /card/clinical_trial /card/data_availability /card/code_availability
        19 | Involvement of patients and the public | /card/stakeholders
        20 | Who took part: flow and characteristics | /card/participants /training/classes
        21 | Numbers of people and of events in each analysis | /training/classes /performance
        22 | The whole model: all that another needs to compute it | /estimator
        23 | Performance with intervals, in groups of people too | /performance /card/fairness
        24 | Updating: results of any | /parent
        25 | Interpretation of the results | /card/interpretation
        26 | Limitations | /limitations
        27 | Use: poor input, skill, next steps | /card/missing_input_handling /card/how_to_use /card/update_schedule
        """,
    ),
)

HTI: Final = Framework(
    "HTI-1 source attributes",
    "45 CFR 170.315(b)(11)(iv)(B): 31 attributes of a predictive intervention in 9 categories.",
    _items(
        "",
        """
        1.i | Output: name and contact of the developer | /card/developer /contacts
        1.ii | Output: who paid for the implementation | /card/funding
        1.iii | Output: the value that comes out | /output/event
        1.iv | Output: whether it is a prediction, a classification or another kind | /output/kind /output/categories
        2.i | Purpose: intended use | /intended_use/purpose
        2.ii | Purpose: intended patients | /intended_use/population
        2.iii | Purpose: intended users | /intended_use/users
        2.iv | Purpose: part in a decision (informs, augments, replaces) | /intended_use/purpose
        3.i | Cautioned use: tasks, situations and people it is not for | /intended_use/cautioned_uses
        3.ii | Cautioned use: known risks and limitations | /limitations /card/clinical_risk_level
        4.i | Development: whom the training data include and exclude | /training/cohort /training/exclusions
        4.ii | Development: demographic, social and health variables among the inputs | /covariates
        4.iii | Development: how far the people represent others by these variables | /card/participants
        4.iv | Development: how the training data fit where it is used | /intended_use/population/notes
        5.i | Fairness: how it was sought | /card/fairness
        5.ii | Fairness: how bias was managed or reduced | /card/bias_and_ethics
        6.i | External validation: on which data, in which setting | /card/external_validation
        6.ii | External validation: who did it |
        6.iii | External validation: whom those people represent |
        6.iv | External validation: how it was done | /card/external_validation
        7.i | Performance: validity on data of the same source | /performance
        7.ii | Performance: fairness on data of the same source | /card/fairness
        7.iii | Performance: validity on data of another source | /card/external_validation
        7.iv | Performance: fairness on data of another source |
        7.v | Performance: evaluations of its use on outcomes | /card/usefulness
        8.i | Maintenance: how and how often validity is monitored | /card/monitoring
        8.ii | Maintenance: validity on local data |
        8.iii | Maintenance: how and how often fairness is monitored |
        8.iv | Maintenance: fairness on local data |
        9.i | Updates: how and how often it is updated | /card/update_schedule
        9.ii | Updates: how often performance is corrected when risks are found |
        """,
    ),
)

CHAI: Final = Framework(
    "CHAI applied model card",
    "Coalition for Health AI, mc-schema v0.2; metrics stand once per key concept.",
    _items(
        "",
        """
        ModelName | Name of the model | /name /title
        ModelDeveloper | Developer | /card/developer
        DeveloperContact | Contact of the developer | /contacts
        ReleaseStage | Stage of the release | /card/release_stage
        ReleaseDate | Date of the release |
        ReleaseVersion | Version | /version
        GlobalAvailability | Where it is available |
        EHRCompatibility | Health records it works with |
        RegulatoryApproval | Approval by authorities | /card/regulatory_approval
        Summary | Summary | /summary
        Keywords | Keywords | /condition/text
        IntendedUseAndWorkflow | Intended use and place in the workflow | /intended_use/purpose
        PrimaryIntendedUsers | Users | /intended_use/users
        HowToUse | How to use it | /card/how_to_use
        TargetedPatientPopulation | Patients | /intended_use/population
        CautionedOutOfScopeSettings | Where it must not be used | /intended_use/cautioned_uses
        KnownRisksAndLimitations | Known risks and limitations | /limitations /warnings
        KnownBiasesOrEthicalConsiderations | Known biases and ethics | /card/bias_and_ethics
        ClinicalRiskLevel | Clinical risk | /card/clinical_risk_level
        OutcomesAndOutputs | Outcome and output | /card/outcome_definition /output/kind
        ModelType | Kind of model | /estimator
        FoundationModels | Foundation models used |
        InputDataSource | Source of the inputs | /card/input_data_source
        OutputAndInputDataTypes | Kinds of inputs and outputs | /panel /covariates /output/kind
        DevelopmentDataCharacterization | Data it was developed on | /training/cohort /training/classes
        BiasMitigationApproaches | What was done against bias | /card/bias_and_ethics /card/fairness
        OngoingMaintenance | Maintenance | /card/monitoring /card/update_schedule
        Security | Security | /card/security
        Transparency | What can be seen of how it works | /card/code_availability
        FundingSource | Funding | /card/funding
        ThirdPartyInformation | Third parties | /card/third_party_information
        StakeholdersConsulted | Who was consulted | /card/stakeholders
        UsefulnessUsabilityEfficacy | Metrics of use and efficacy | /performance /card/usefulness /card/net_benefit
        FairnessEquity | Metrics of fairness | /card/fairness
        SafetyReliability | Metrics of safety and reliability | /negative_controls /card/safety
        EvaluationReferences | References of evaluations | /references
        ClinicalTrial | Clinical trials | /card/clinical_trial
        PeerReviewedPublications | Publications | /references
        ReimbursementStatus | Reimbursement | /card/reimbursement
        PatientConsentOrDisclosure | Consent of patients or disclosure | /card/patient_consent
        Bibliography | Bibliography | /references
        """,
    ),
)

FRAMEWORKS: Final = (TRIPOD, CHAI, HTI)


def framework_table(framework: Framework, manifest: Manifest) -> Table:
    """Every item with its answer and the fields it comes from."""
    rows = [(item.number, item.asks, item_answer(item, manifest), ", ".join(item.fields)) for item in framework.items]
    return Table(("Item", "What it asks for", "Answer", "From the manifest"), tuple(rows))


def item_answer(item: Item, manifest: Manifest) -> str:
    """What the item's fields answer, and which of them do not; "not available" where none does."""
    answers = {field: answer(manifest, field) for field in item.fields}
    found = dict.fromkeys(text for text in answers.values() if text is not None)
    without = [field for field, text in answers.items() if text is None]
    if not found:
        return NOT_AVAILABLE
    return " | ".join(found) + (f" | {NOT_AVAILABLE}: {', '.join(without)}" if without else "")
