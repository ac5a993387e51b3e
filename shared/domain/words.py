"""Amounts in Chinese financial words, as printed beside 价税合计 (R-17): 38122 fen is 叁佰捌拾壹圆贰角贰分."""

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = ("", "拾", "佰", "仟")
GROUPS = ("", "万", "亿", "万")
LARGEST_FEN = 10**18 - 1


def amount_in_words(fen: int) -> str:
    if abs(fen) > LARGEST_FEN:
        raise ValueError(f"{fen} fen is more than there are words for")
    if fen < 0:
        return f"（负数）{amount_in_words(-fen)}"
    yuan, jiao, rest = fen // 100, fen // 10 % 10, fen % 10
    words = f"{_integer(yuan)}圆" if yuan else ""
    if jiao:
        words += f"{DIGITS[jiao]}角"
    elif rest and yuan:
        words += "零"
    if rest:
        return f"{words}{DIGITS[rest]}分"
    return f"{words or '零圆'}整"


def _integer(number: int) -> str:
    """Groups of four digits. A gap collapses to one 零, also across groups; a full group that starts with a thousand needs none.

    Ten thousands of 亿 share one 亿 with the group after them, and have it to themselves only when that group is empty.
    """
    groups = []
    while number:
        number, group = divmod(number, 10_000)
        groups.append(group)
    words = ""
    for place in range(len(groups) - 1, -1, -1):
        group = groups[place]
        if not group:
            continue
        if words and (group < 1000 or not groups[place + 1]):
            words += "零"
        words += _group(group) + GROUPS[place]
        if place == 3 and not groups[2]:
            words += "亿"
    return words


def _group(number: int) -> str:
    words, gap = "", False
    for place in (3, 2, 1, 0):
        digit = number // 10**place % 10
        if not digit:
            gap = bool(words)
            continue
        words += ("零" if gap else "") + DIGITS[digit] + PLACES[place]
        gap = False
    return words
