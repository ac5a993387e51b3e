"""The two digits by which the tax bureau names the state of a red confirmation form (红字信息确认单)."""

from services.invoicing.tax_platforms.port import FormDied, FormState, FormTold

LIVE = {
    "01": FormState.CONFIRMED,  # nobody has to confirm it
    "02": FormState.AWAITS_BUYER,
    "03": FormState.AWAITS_SELLER,
    "04": FormState.CONFIRMED,  # by both
}
DEAD = {
    "05": "the buyer refused the red confirmation form",
    "06": "the seller refused the red confirmation form",
    "07": "the red confirmation form was not confirmed within 72 hours",
    "08": "the red confirmation form was withdrawn by who entered it",
    "09": "the red confirmation form was withdrawn after it was confirmed",
    "10": "the tax bureau holds the invoice for abnormal",
    "11": "the taxpayer's status at the tax bureau does not allow it",
    "12": "the natural person refused the red confirmation form",
    "13": "an export refund form was issued for the invoice",
}


def form(number: str, code: str) -> FormTold | FormDied:
    if code in DEAD:
        return FormDied(number, code, f"RED_FORM_{code}", DEAD[code])
    return FormTold(number, LIVE.get(code, FormState.OTHER), code)
