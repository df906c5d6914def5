"""What secrets look like, as data: for each step of the redactor what finds it, and a looser expression for its lines.

A step is looked for with Hyperscan (``hint``: no look-around, matches whenever the step could) and only taken, with
Python's ``re``, in lines that have its hint. The expressions are ours, repeats in them are bounded and none stands in
another that could match the same text, so a step's time is linear in the text (``benchmarks.redaction`` measures it).
Group ``secret`` is what a tag takes the place of; without one it is the whole match.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct


class Shape(Struct, frozen=True):
    """One step: the kind that its tags have, the loose expression, and the exact one.

    ``judge`` names the question of ``streams.ingest.judging`` that the text found must answer with yes.
    """

    kind: str
    hint: str
    exact: re.Pattern[str]
    judge: str = "any"


def _shape(kind: str, hint: str, exact: str, judge: str = "any") -> Shape:
    return Shape(kind, hint, re.compile(exact, re.IGNORECASE | re.DOTALL | re.ASCII), judge)


def escaped(word: str) -> str:
    """Return an expression for a word as JSON writes it when it may use ASCII only, once or within other JSON."""
    return "".join(letter if letter.isascii() else rf"\\{{1,7}}u{ord(letter):04x}" for letter in word)


TAG: Final = r"\[[a-z]{3,6}:[0-9a-f]{12}\]"
_QUOTE: Final = r"(?:\\{0,7}[\"'`]|&quot;|&#3[49];|%22)"
_ISSUED: Final = (
    # Amazon, with the secret key that follows its id
    r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}(?:[\s:,/\"'|]{1,10}[A-Za-z0-9/+]{40})?",
    r"gh[pousr]_\w{30,255}|github_pat_\w{30,255}",
    r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|imt|agent)-[\w.-]{20,255}|GR1348941[\w-]{20}",
    r"xox[abceoprs](?:\.xox[bp])?-[\w-]{10,255}|xapp-[\w-]{10,255}",
    r"(?:sk|rk)_(?:live|test)_\w{16,255}|whsec_[\w+/]{24,255}",
    r"AIza[\w-]{35}|ya29\.[\w-]{20,400}|GOCSPX-[\w-]{20,64}|1//0[\w-]{40,200}",
    r"sk-[\w-]{20,255}|(?:gsk|hf|pplx|nvapi|xai|r8)[_-]\w{28,200}",
    r"npm_\w{30,64}|pypi-[\w-]{50,400}|rubygems_[0-9a-f]{48}|dckr_(?:pat|oat)_[\w-]{20,64}|oy2[a-z0-9]{43}",
    r"SG\.[\w-]{16,32}\.[\w-]{32,64}|SK[0-9a-f]{32}|key-[0-9a-f]{32}|xkeysib-[0-9a-f]{64}-\w{16}",
    r"hv[sbr]\.[\w-]{20,400}|s\.[A-Za-z0-9]{24}|[A-Za-z0-9]{14}\.atlasv1\.[\w-]{60,80}",
    r"do[opr]_v1_[0-9a-f]{64}|shp(?:at|ca|pa|ss)_[0-9a-f]{32}|sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{60}",
    r"gl(?:sa|c)_[\w+/=]{32,255}",
    r"dapi[0-9a-f]{32}(?:-\d)?|dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{30,80}|sntrys_[\w+/=]{40,400}",
    r"NR(?:AK|II|JS|AL)-[\w-]{20,64}|PMAK-[0-9a-f]{24}-[0-9a-f]{34}|lin_(?:api|oauth)_\w{32,64}|figd_[\w-]{36,64}",
    r"AT(?:ATT|CTT|BB)3?[\w=.-]{24,255}|pat-(?:na|eu)1-[0-9a-f-]{36}|pul-[0-9a-f]{40}|tskey-[\w-]{20,80}|sbp_[0-9a-f]{40}",
    r"\d{8,10}:AA[\w-]{32,36}|[MNO][\w-]{23,26}\.[\w-]{6}\.[\w-]{27,38}|amzn\.mws\.[0-9a-f-]{36}|CFPAT-[\w-]{43}",
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}|sha256~[\w-]{43}|AKCp[A-Za-z0-9]{60,80}|LTAI[A-Za-z0-9]{16,24}|\w{3}8Q~[\w.~-]{34}",
    r"dt0[a-z]\d\d\.[A-Z0-9]{24}\.[A-Z0-9]{64}|ops_eyJ[\w+/=]{40,800}|eyJrIjoi[\w+/=]{30,400}|AQ[A-Za-z0-9+/]{36}==",
    r"(?:secret|ntn)_[A-Za-z0-9]{40,50}",
)
"""Keys that are known by how they begin; sources are the issuers' documents. Case counts."""
_OF_LETTERS: Final = r"[a-z]{2,12}[_-](?:[a-z0-9]{1,8}[_-]){0,3}[A-Za-z0-9]{32,200}"
"""What issuers not named above do too: a word, then a long run."""

_ABROAD: Final = "|".join(
    f"{word}|{escaped(word)}" if not word.isascii() else word
    for word in (
        *("passwort", "kennwort", "contraseña", "contrasena", "mot de passe", "senha", "wachtwoord"),
        *("пароль", "Пароль", "密码", "密碼", "パスワード", "비밀번호"),
    )
)
"""A password in other languages, also as JSON escapes it."""
_WIDE_COLON: Final = rf"\uff1a|{escaped(chr(0xFF1A))}"
_STRONG: Final = (
    r"pass(?:word|wd|phrase|code)|(?<![a-z])(?:bind|user|db|root)?(?:pass|pw)|(?-i:(?<=[a-z])(?:Pass|Pwd))"
    r"|(?<![a-z0-9])(?:user|db|sql|admin|root)?pwd|secret|credential|cvv|cvc"
    r"|api[ _-]?key|(?:access|account|shared|private|encrypt|encryption|signing|master|hmac|license|service|client|app)"
    r"[_-]?key"
    rf"|authkey|key[_-]data|token|dockerconfigjson|dockercfg|mnemonic|(?<![a-z])(?:wpa_)?psk|{_ABROAD}"
)
_SUFFIX: Final = (
    r"(?:[_-]?(?:access[_-]?)?key)?(?:[_-]?(?:base|value|data|hash|b64|base64|plain|text|string|new|old|confirm\w{0,8}"
    r"|\d{1,2}))?s?"
)
_WEAK: Final = (
    r"authorization|(?<![a-z])auth|redis(?:cli)?_auth|cookies?|sess(?:ion)?(?:[_-]?id)?|(?<![a-z])sid|phpsessid|jsessionid"
    r"|(?<![a-z])sig|signature|[_-]key|(?-i:(?<=[a-z])Key)|(?<![a-z])otp|(?<=[?&])(?:code|key|k|t|st|s)"
)
_DONE: Final = rf"(?!{TAG}(?![^\s\"'`,;&)}}\]<>\\]))"
"""Not before a tag that is all of a value."""
_SEPARATOR: Final = (
    rf"{_QUOTE}?\]?[ \t]{{0,3}}(?:=>|:=|==?|:(?!:)|{_WIDE_COLON}|%3[ad]|>(?=[^\s<]))[ \t]{{0,3}}"
    rf"{_DONE}(?:\(|\[(?!{TAG[2:]}))?{_DONE}"
)
_VALUE: Final = (
    rf"(?:[bu]?(?P<quote>{_QUOTE})(?P<quoted>.{{1,400}}?)(?:(?<!\\)(?P=quote)|\Z)"
    rf"|(?P<bare>(?:{TAG}|[^\s\"'`,;&)}}\]<>\\:=\[])(?:{TAG}|[^\s\"'`,;&)}}\]<>\\\[]|\[(?!{TAG[2:]})"
    r"|[,;&)}\]](?![\s\"'`\\,;&)}\]<>]|\Z|[\w.\-]{1,40}=|[\w.\- ]{1,40}:)|\\(?![nrtu\"'`\\])){2,400}))"
)
_BETWEEN: Final = r"(?: (?:is|was|of|to|set to|changed to|provided|value|id|key|using|for [\w.@-]{1,40}(?: is)?))?:?"
_OPENED: Final = rf"(?:{_QUOTE}|[(\[<])?"
_CARD: Final = (
    r"(?<![\w.])(?:(?:4\d{3}|5[1-5]\d\d|2[2-7]\d\d|6011|6[245]\d\d|35[2-8]\d)(?P<between>[ .\-]?)"
    r"\d{4}(?P=between)\d{4}(?P=between)\d{4}|3[47]\d\d(?P<within>[ .\-]?)\d{6}(?P=within)\d{5}"
    r"|3(?:0[0-5]|[68]\d)\d(?P<inside>[ .\-]?)\d{6}(?P=inside)\d{4})(?![\w\-])(?!\.\d)"
)

_UNTAGGED: Final = rf"(?!{_OPENED}{TAG}|{TAG})"
_NEXT: Final = rf"{_QUOTE}?(?:,[ \t]?|[ \t]{{1,3}}){_QUOTE}?"
"""Between a flag and its value, in a shell's line or in a list of arguments."""
_END: Final = r"(?:\\*[\"'`]|&quot;|&#3[49];|%22)?\]?[ \t]*(?:[=:>]|\xef\xbc\x9a|%3[ad]|" + escaped(chr(0xFF1A)) + ")"
"""What follows a name, loosely."""

_KEYS: Final = (
    _shape(
        "pem",
        r"PRIVATE KEY|Private-Lines:",
        r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----(?P<secret>.*?)(?:-----END [A-Z0-9 ]{0,60}-----|\Z)"
        r"|Private-Lines: \d{1,4}(?P<lines>.*)",
    ),
    _shape(
        "pem",
        r"[A-Za-z0-9+/]{64}",
        r"(?<![A-Za-z0-9+/=_.\-])(?:[A-Za-z0-9+/]{64}|[A-Za-z0-9+/]{70}|[A-Za-z0-9+/]{76})"
        r"(?=\s{0,4}(?:\Z|[\r\n\"']|\\n|#012))",
        "key_body",
    ),
    _shape(
        "pem",
        r"^\s*[A-Za-z0-9+/]{20,76}=?=?\s*$",
        r"\A\s{0,8}(?P<secret>[A-Za-z0-9+/]{20,76}={0,2})\s{0,8}\Z",
        "key_body",
    ),
    _shape(
        "jwt",
        r"eyJ[\w-]{8}",
        # From where a run begins: tried from each eyJ in it, a run of nothing else would take the square of its length.
        r"(?<![\w-])[\w-]{0,100}?(?P<secret>eyJ[\w-]{8,4000}\.[\w-]{4,4000}(?:\.[\w-]{0,4000}){0,3})",
    ),
    Shape("key", "|".join(_ISSUED), re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_ISSUED)})(?![A-Za-z0-9])", re.ASCII)),
    Shape(
        "key",
        r"[_-][A-Za-z0-9]{32}",
        re.compile(rf"(?<![A-Za-z0-9_-])(?:{_OF_LETTERS})(?![A-Za-z0-9])", re.ASCII),
        "mixed_key",
    ),
    _shape(
        "hash",
        r"\$[a-z0-9-]{1,16}\$|\{S?(?:SHA|MD5)|\{CRYPT|\{x-|pbkdf2|SCRAM-SHA|scrypt:",
        r"\$(?:2[abxy]?|5|6|1|y|7|apr1|argon2(?:id|i|d)|pbkdf2[\w-]{0,20}|scrypt|bcrypt-sha256)\$[\w./$=,+\-]{20,255}"
        r"|\{(?:S?SHA(?:256|384|512)?|S?MD5|CRYPT|x-[\w-]{1,20})\}[\w./$=+\-]{20,255}"
        r"|pbkdf2[:_]sha\d{1,3}[:$][\w./$=+\-:]{20,255}|scrypt:[\d:]{3,20}\$[\w./$=+\-]{20,255}"
        r"|SCRAM-SHA-\d{1,3}\$\d{1,7}:[\w+/=]{8,64}\$[\w+/=:]{40,200}",
    ),
)
"""What is a secret wherever it stands."""

_CARRIED: Final = (
    _shape(
        "hook",
        r"hooks\.slack|discord|telegram",
        r"(?:hooks\.slack\.com/\w{1,20}/|discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/|api\.telegram\.org/bot)"
        r"(?P<secret>[\w\-/@.:]{8,300})",
    ),
    _shape(
        "hook",
        r"hook|/integration/|with/key/|/(?:reset|magic|verify|confirm|activate|invite|password[\w-]*)/",
        r"(?:/(?:incoming)?(?:web)?hooks?(?:b2)?/(?:catch/|v\d/|incoming/)?|/integration/|with/key/"
        r"|/(?:reset|magic|verify|confirm|activate|invite|password[\w\-]{0,20})/)"
        r"(?P<secret>[\w\-/@.:]{8,300})",
        "issued_part",
    ),
    _shape(
        "login",
        r"//[^\s\"'<>]+@|:[^\s@]+@(?:tcp|udp|unix)\(|thin:[^\s@]+@",
        r"//[^\s:/@\"'<>\[]{0,64}:(?!\d{1,5}[/?#])(?P<secret>[^\s\"'<>]{1,200}?)"
        r"(?=@[\w.\-\[\]*%]{1,253}(?:[:/?,;)\\\"'\s&]|\Z))"
        r"|//(?P<user>[\w\-.]{16,255})(?=@[\w.\-])"
        r"|(?<=:)(?P<dsn>[^\s@:\"'/\[\]]{3,100})(?=@(?:tcp|udp|unix)\()|thin:\w{1,40}/(?P<thin>[^\s@/\"']{3,100})(?=@)",
        "login",
    ),
    _shape(
        "cookie",
        r"cookies?\\*(?:[\"'`]|&quot;|&#3[49];|%22)?[ \t]*[=:]",
        rf"(?<![a-z])cookies?{_QUOTE}?[ \t]{{0,3}}[=:][ \t]{{0,3}}[\[({{]?{_QUOTE}?"
        r"(?P<jar>[\w.\-%]{1,100}=[^\"'<>\n\\]{1,3000})",
        "jar",
    ),
    _shape(
        "auth",
        r"(?:bearer|basic|negotiate|ntlm|apikey|splunk|ssws)(?:\\*[\"'`]|&quot;|&#3[49];|%22)?(?:[ :=+]|%20)",
        rf"\b(?:bearer|basic|negotiate|ntlm|apikey|splunk|ssws){_QUOTE}?(?:[ :=+]|%20){{1,3}}{_OPENED}"
        r"(?P<secret>[\w.~+/\-]{8,2000}={0,2})",
        "no_word",
    ),
)
"""What a protocol says is a secret."""

_GIVEN: Final = (
    _shape(
        "value",
        r"(?:pass|pwd|pw|secret|credential|cvv|cvc|key|token|dockerc|mnemonic|psk"
        rf"|{_ABROAD})[\w\-]*" + _END,
        rf"(?P<name>{_STRONG}){_SUFFIX}{_SEPARATOR}{_VALUE}",
        "named",
    ),
    _shape(
        "value",
        r"(?:auth|authorization|cookies?|sess(?:ion)?(?:[_-]?id)?|(?:^|[^a-z])(?:sid|sig)|signature|[a-z_-]key|otp"
        r"|[?&](?:code|key|k|t|st|s))" + _END,
        rf"(?!{TAG[2:]})(?P<name>{_WEAK}){_SEPARATOR}{_VALUE}",
        "named_weakly",
    ),
    _shape(
        "value",
        r"<[\w:.-]*(?:pass|pwd|secret|token|key)[\w:.-]*[^<>]*>",
        r"<[\w:.\-]{0,40}(?:pass|pwd|secret|token|key)[\w:.\-]{0,20}(?: [^<>]{0,80})?>"
        r"(?P<secret>[^<>\s][^<>]{2,400})(?=</)",
    ),
    _shape(
        "value",
        r"-[\w-]*(?:pass|pwd|secret|token|key)\w*\\*[\"'`]?(?:&quot;|&#3[49];|%22)?[\s,]",
        r"(?<![\w-])--?(?:[a-z0-9]{1,20}-){0,3}(?:\w{0,12}(?:password|token|secret)|passwd|passphrase|pass|pwd"
        rf"|(?:api|access|auth|secret|private)-?key){_NEXT}(?!-|{TAG})(?P<secret>[^\s\"',]{{3,200}})",
        "flag",
    ),
    _shape(
        "value",
        r"-u|-user",
        rf"(?<![\w-])(?:-u|--user|--proxy-user)(?:{_NEXT}|={_QUOTE}?|(?=[a-z]))(?P<who>[^\s:\"'/\[]{{1,64}}):"
        rf"(?!{TAG})(?P<secret>[^\s\"']{{3,100}})",
        "user_flag",
    ),
    _shape(
        "value",
        r"sshpass|redis-cli|docker|podman|helm|ldap|sqlcmd|bcp",
        r"\b(?:(?:sshpass|docker login|podman login|helm registry login)\b[^\n|\[]{0,80}?[\s'\"]-p"
        r"|redis-cli\b[^\n|\[]{0,80}?[\s'\"]-a|ldap\w{3,8}\b[^\n|\[]{0,80}?[\s'\"]-w"
        rf"|(?:sqlcmd|bcp)\b[^\n|\[]{{0,80}}?[\s'\"]-P)(?:{_NEXT}|{_QUOTE})?(?!{TAG})"
        r"(?P<secret>[^\s\"',\-\\][^\s\"',\\]{2,100})",
    ),
    _shape(
        "value",
        r"mysql|mariadb|xtrabackup",
        r"\b(?:mysql\w{0,8}|mariadb(?:-\w{1,8})?|xtrabackup)\b[^\n|\[]{0,80}?[\s'\"]-(?-i:p)['\"]?"
        rf"(?!{TAG})(?P<secret>[^\s\"'\\]{{3,100}})",
    ),
)
"""What a name or a flag says is a secret."""

_SAID: Final = (
    _shape(
        "value",
        r"login\s+\S+\s+password",
        rf"\blogin\s{{1,4}}\S{{1,80}}\s{{1,4}}password\s{{1,4}}(?!{TAG})(?P<secret>\S{{2,100}})",
    ),
    _shape(
        "value",
        r"identified .*by|set password",
        r"(?:identified (?:with \w{1,40} )?by(?: password)?|set password [^=\n]{0,80}=)\s{1,3}(?:password\()?"
        rf"{_UNTAGGED}{_QUOTE}?(?P<secret>[^\s\"'\\]{{3,200}})",
        "flag",
    ),
    Shape(
        "auth",
        r"auth(?:enticate)? (?:plain|login|cram-md5|xoauth2|scram)",
        re.compile(
            r"\bAUTH(?:ENTICATE)? (?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2|SCRAM[\w-]{0,16}) (?P<secret>[\w+/=\-]{8,2000})",
            re.ASCII,
        ),
    ),
    Shape(
        "value",
        r"auth |user \S+ pass |login ",
        re.compile(
            rf"\b(?:AUTH|USER \S{{1,80}} PASS|LOGIN [^\s\[]{{1,80}}) {_UNTAGGED}{_QUOTE}?(?P<secret>[^\s\"']{{4,200}})",
            re.ASCII,
        ),
        "chosen",
    ),
    _shape(
        "value",
        r"(?:otp|password|code).{0,5}\d{6}",
        r"(?:\botp|one-time (?:password|code)|(?:verification|security|2fa|mfa|login)[ _]code)(?: is|:|=){1,2} ?"
        r"(?P<secret>\d{6,8})(?!\w)",
    ),
    _shape(
        "value",
        r"pass(?:word|wd|phrase|code)s?[ :]",
        rf"\bpass(?:word|wd|phrase|code)s?{_BETWEEN} {_UNTAGGED}(?P<opened>{_OPENED})(?P<secret>[^\s\"'<>]{{4,200}})",
        "chosen_or_quoted",
    ),
    _shape(
        "value",
        r"(?:token|secret|key|code) (?:is|was)",
        r"(?:token|secret|key|(?:access|verification|security|reset|recovery) code) (?:is|was):? "
        rf"{_UNTAGGED}{_OPENED}(?P<secret>[^\s\"'<>]{{4,200}})",
        "chosen",
    ),
    _shape(
        "value",
        r"(?:token|secret|credential|key|auth)s?[ :]",
        rf"(?!{TAG[2:]})(?:token|secret|credential|auth|(?:api|access|private|signing|encryption)[ _-]?key)s?"
        rf"{_BETWEEN}[ :]{{1,2}}"
        rf"{_UNTAGGED}{_OPENED}(?P<secret>[\w+/.~\-]{{12,2000}}={{0,2}})",
        "issued",
    ),
    _shape(
        "card",
        r"\b[2-6]\d{3}(?:[ .\-]?\d{4}){3}\b|\b3\d{3}[ .\-]?\d{6}[ .\-]?\d{4,5}\b",
        _CARD,
        "card",
    ),
)
"""What a sentence says is a secret, and card numbers."""

SHAPES: Final = _KEYS + _CARRIED + _GIVEN + _SAID
