"""The two digits by which the tax bureau names the state of a red confirmation form (红字信息确认单)."""

from services.invoicing.tax_platforms.port import FormDied, FormState, FormTold
from shared.domain.refusals import Refusal, text_of

LIVE = {
    "01": FormState.CONFIRMED,  # nobody has to confirm it
    "02": FormState.AWAITS_BUYER,
    "03": FormState.AWAITS_SELLER,
    "04": FormState.CONFIRMED,  # by both
}
DEAD = {
    "05": Refusal.RED_FORM_05,
    "06": Refusal.RED_FORM_06,
    "07": Refusal.RED_FORM_07,
    "08": Refusal.RED_FORM_08,
    "09": Refusal.RED_FORM_09,
    "10": Refusal.RED_FORM_10,
    "11": Refusal.RED_FORM_11,
    "12": Refusal.RED_FORM_12,
    "13": Refusal.RED_FORM_13,
}


def form(number: str, code: str) -> FormTold | FormDied:
    if code in DEAD:
        return FormDied(number, code, DEAD[code], text_of(DEAD[code]).english)
    return FormTold(number, LIVE.get(code, FormState.OTHER), code)
