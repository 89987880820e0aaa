"""The phrases and marks of prompt injection that `injection` knows, as RE2 over text in small letters, with weights."""

from __future__ import annotations

WEIGHTS: dict[str, float] = {
    "override": 0.7,
    "roles": 0.6,
    "extraction": 0.6,
    "persona": 0.6,
    "exfiltration": 0.6,
    "delimiters": 0.5,
    "encoded": 0.7,
    "decode": 0.5,
    "hidden": 0.6,
    "bidi": 0.3,
    "authority": 0.5,
}
"""How much one sign says, by its name."""

_UP_TO_40 = r"[^.\n\x00]{0,40}?"
_UP_TO_24 = r"[^.\n\x00]{0,24}?"

_NOUN = (
    r"(?:instructions?|prompts?|rules|guidelines?|directions|directives?|commands|constraints|restrictions|"
    r"safety (?:rules|measures|protocols)|programming|orders|policies|safeguards)\b"
)
_WHOSE = (
    r"(?:previous(?:ly)?|prior|above|earlier|preceding|initial|original|foregoing|all|your|system|any|every|these|those|"
    r"the|last|past|former)\b"
)
_OVERRIDE = (
    rf"\b(?:ignore|ignoring|disregard(?:ing)?|forget|override|overrule|bypass|neglect|circumvent|"
    rf"(?:do not|don'?t|stop|no longer) (?:follow(?:ing)?|obey(?:ing)?|listen(?:ing)? to|need to follow))\b"
    rf"{_UP_TO_24}\b{_WHOSE}{_UP_TO_40}\b{_NOUN}",
    r"\b(?:set aside|put aside|throw out|throw away|drop|discard|pay no attention to|take no notice of)\b"
    rf"{_UP_TO_24}\b{_WHOSE}{_UP_TO_40}\b(?:{_NOUN}|guidance\b|directive\b)",
    r"\b(?:ignore|disregard|forget|pay no attention to) (?:everything|anything|all|what(?:ever)?)\b[^.\n\x00]{0,30}\b"
    r"(?:before|above|told|said|so far|previously|until now|you know|prior|learned)",
    r"\b(?:ignore|disregard|forget) (?:all )?(?:of )?(?:the|this|that|everything) (?:above|before)\b",
    r"\b(?:new|updated|real|actual|revised|following) (?:system )?(?:instructions?|directives?|orders)\b"
    r"(?: are)?(?: as follows)?\s*:",
    r"\bfrom now on,? (?:you|your|ignore|respond only|answer only|only)\b",
    r"\b(?:your|the) (?:previous|prior|old|original|initial) (?:instructions|rules|guidelines|prompt)"
    r"[^.\n\x00]{0,30}(?:no longer|cancel|void|obsolete|suspended|revoked|invalid|do not apply|don'?t apply)",
    # German
    r"\b(?:ignorier\w*|vergiss|vergesse?n?|missachte\w*|überschreib\w*|umgeh\w*|verwirf|befolge nicht)\b"
    r"[^.\n\x00]{0,50}?\b(?:anweisung\w*|instruktion\w*|regeln?|vorgaben?|befehle?n?|richtlinien?|prompts?|systemprompts?)\b",
    r"\b(?:setz\w*)\b[^.\n\x00]{0,50}?\b(?:vorgaben|regeln|anweisungen|richtlinien)\b[^.\n\x00]{0,20}?\baußer kraft",
    # French
    r"\b(?:fais|faites) comme si\b[^.\n\x00]{0,30}\b(?:consignes?|règles|instructions?|limites?)\b",
    r"\b(?:ignore[rz]?|oublie[rz]?|ne tiens? pas compte|ne tenez pas compte|ne suis plus|désobéi\w*)\b[^.\n\x00]{0,50}?"
    r"\b(?:instructions?|consignes?|règles|directives?|ordres)\b",
    # Spanish, Portuguese
    r"\b(?:ignor[aeá]\w*|olvid[aeá]\w*|haz caso omiso|descart\w*|esqueç\w*|desconsider\w*)[^.\n\x00]{0,50}?"
    r"\b(?:instrucciones|instrucción|instruções|reglas|regras|órdenes|ordens|indicaciones|diretrizes|directrices)\b",
    # Italian
    r"\b(?:ignora\w*|dimentica\w*|trascura\w*)\b[^.\n\x00]{0,50}?\b(?:istruzion\w*|regole|direttive|ordini)\b",
    # Dutch
    r"\b(?:negeer|vergeet)\b[^.\n\x00]{0,50}?\b(?:instructies?|regels|opdrachten|aanwijzingen|richtlijnen)\b",
    # Polish, Russian
    r"\b(?:zignoruj|ignoruj|zapomnij)[^.\n\x00]{0,60}?(?:instrukcj|polece|zasad|reguł)",
    r"(?:игнорируй|игнорируйте|забудь|забудьте|проигнорируй)[^.\n\x00]{0,80}?(?:инструкц|указани|правил|команд)",
    # Chinese, Japanese, Korean
    r"(?:忽略|无视|無視|忘记|忘掉|不要遵守|不要理会)[^。\n\x00]{0,60}?(?:指令|指示|说明|提示|规则|命令|設定)",
    r"(?:指示|命令|ルール|プロンプト|設定)[^。\n\x00]{0,30}?(?:無視|忘れ)",
    r"(?:지시|명령|규칙|프롬프트)[^.\n\x00]{0,40}?(?:무시|잊어)",
)

_ROLES = (
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\|>",
    r"\[/?inst\]|<</?sys>>|<start_of_turn>|<end_of_turn>",
    r"</?(?:system|system[-_ ]?prompt|system[-_ ]?message|admin|developer|sysadmin|root)>",
    r"(?:^|\n)\s{0,4}(?:#{1,4}|\*\*|\[)?\s?(?:system|developer|sys)"
    r"(?: (?:message|prompt|override|notice|update|note))?\s?(?:\*\*|\])?\s?[:>]",
    r"\"role\"\s{0,3}:\s{0,3}\"(?:system|developer)\"",
    r"\b(?:system|admin|developer|root|safety) (?:override|prompt override|message override)\b",
    r"\[/?(?:system|admin|developer|instructions?)\]",
    r"(?:^|\n|\s)#{2,4} ?(?:instructions?|response|system|assistant)\s?:",
)

_HIDDEN_PROMPT = (
    r"(?:system[- ]?prompt|system[- ]?message|system[- ]?instructions?|pre-?prompt|meta-?prompt|"
    r"(?:initial|hidden|original|secret|confidential|developer|custom|starting|full|exact|own|base) "
    r"(?:system )?(?:prompt|instructions?|message|configuration|directives|guidelines)|"
    r"internal (?:prompt|instructions)|"
    r"(?:prompt|instructions) (?:verbatim|above|you (?:were|have been|got|received))|"
    r"your (?:prompt|instructions|rules)\b)"
)
_EXTRACTION = (
    rf"\b(?:reveal|show|print|repeat|output|display|tell|give|share|leak|dump|write|copy|recite|summari[sz]e|translate|"
    rf"list|paste|quote|spell|encode|disclose|echo|what(?:'s| is| are| was| were))\b{_UP_TO_40}\b{_HIDDEN_PROMPT}",
    r"\brepeat (?:everything|all|the (?:text|words|content|message)s?)\b"
    r"[^.\n\x00]{0,30}\b(?:above|before|so far|started)",
    r"\b(?:text|words|everything|content|lines) above (?:this|starting|verbatim)",
    r"\bstarting with [\"'“]?you are\b",
    r"\b(?:words|lines|sentences|messages?|text) (?:of|in|from) (?:this|the|our|your) "
    r"(?:conversation|chat|context|prompt)\b"
    r"[^.\n\x00]{0,20}\b(?:before|above|prior|mention|say|contain|begin|start)",
    r"\b(?:message|text|part|paragraph) that (?:comes|came|stands|stood|is|was) (?:right |just )?"
    r"before (?:this|mine|my)",
    r"\b(?:audit|inspect|see|read|check|review) your (?:system )?prompt\b",
    r"\bhow were you (?:prompted|instructed|programmed|configured)\b",
    r"\b(?:zeig\w*|nenn\w*|gib|verrat\w*|wiederhol\w*|wie lautet)\b[^.\n\x00]{0,50}?"
    r"\b(?:systemprompts?|system-prompts?|systemanweisung\w*|"
    r"deine (?:ursprünglichen |internen )?(?:anweisungen|instruktionen))",
    r"\b(?:montre|affiche|révèle|répète|donne)\w*[^.\n\x00]{0,50}?"
    r"\b(?:prompt système|instructions (?:système|initiales|cachées))",
    r"\b(?:muestra|revela|repite|dime|imprime)\w*[^.\n\x00]{0,50}?"
    r"\b(?:prompt (?:del|de) sistema|instrucciones (?:del sistema|iniciales|ocultas))",
    r"(?:系统提示|系統提示|システムプロンプト|시스템 프롬프트|системн\w{0,4} (?:промпт|подсказк|инструкц))",
)

_PERSONA = (
    r"\b(?:you are|you're|you will|act|pretend|behave|role-?play|respond|answer|simulate|imagine|be)\b[^.\n\x00]{0,60}?"
    r"\b(?:dan\b|do anything now|jailbroken|unrestricted|unfiltered|uncensored|amoral|"
    r"(?:no|without|free (?:of|from)|ignor\w+)(?: any| all| your| its)? (?:ethical |moral |safety |content )?"
    r"(?:rules|restrictions|limits|filters|limitations|guidelines|ethics|morals|constraints|censorship))",
    r"\b(?:enable|enter|activate|switch (?:in)?to|turn on|unlock|engage)\b[^.\n\x00]{0,20}?"
    r"\b(?:developer|god|debug|admin|jailbreak|dan|sudo|unrestricted|maintenance|root|diagnostic) ?mode",
    r"\b(?:you are|you're) (?:now|no longer) (?:a |an |the |in |my |free|bound|restricted|limited|called|dan)",
    r"\bjailbreak(?:ed|ing)?\b",
    r"\b(?:sin|sans|ohne|senza|sem|zonder) (?:ningún |aucune |jegliche |alcuna |nenhuma |enige )?"
    r"(?:restricciones|restrictions|filtres?|einschränkungen|beschränkungen|restrizioni|restrições|beperkingen)\b",
    r"\b(?:stay in|break|never break) character\b",
    r"\bdu bist (?:jetzt|nun|ab sofort|nicht mehr|kein)\b[^.\n\x00]{0,60}"
    r"\b(?:ki|bot|assistent\w*|einschränkung\w*|regeln|dan)\b",
    r"\b(?:opposite|evil|unethical) (?:mode|twin|version of (?:you|yourself))",
)

_EXFILTRATION = (
    r"!\[[^\]\n\x00]{0,100}\]\(\s?https?://[^)\s\x00]{0,300}(?:[?&=]|\{|%7b)",
    r"\b(?:send|post|forward|transmit|upload|exfiltrate|e-?mail|append|submit|embed)\b[^.\n\x00]{0,60}?"
    r"\b(?:conversation|chat history|chat log|history|api keys?|credentials|passwords?|secrets?|user data|"
    r"customer data|personal data|tokens?|session)\b[^\n\x00]{0,60}?\b(?:to|at|into|in|via)\b"
    r"[^\n\x00]{0,30}?(?:https?://|www\.|@|\burl\b|webhook)",
    r"\b(?:render|include|display|add|insert|output)\b[^.\n\x00]{0,40}\b(?:image|img|link|markdown)\b[^\n\x00]{0,80}"
    r"https?://[^\s\x00]{0,200}(?:\{|\?|=)",
    r"\bmarkdown image\b[^.\n\x00]{0,60}\b(?:url|address|link|whose|with|containing)\b[^.\n\x00]{0,40}"
    r"\b(?:e-?mail|name|address|conversation|history|secret|token|data|password)",
    r"<img[^>\x00]{0,200}src\s?=\s?[\"']?https?://[^>\x00]{0,200}[?=]",
)

_DELIMITERS = (
    r"(?:^|\n)\s{0,4}[-=#*_~]{3,40}\s{0,3}(?:end|begin|start|new|stop|system|admin)\b[^\n\x00]{0,40}"
    r"(?:prompt|instructions?|context|user|input|message|system|document|query|override)",
    r"\b(?:end|begin|start) of (?:the )?(?:system|user|prompt|instructions?|context|untrusted|hidden)\b"
    r"(?: (?:prompt|input|message|text|query|section))?"
    r"\s{0,2}(?:[-=#*\])>:.]|\n)",
    r"</(?:context|documents?|user_input|user_question|user_message|user|untrusted|question|query|input|passage|instructions?|data|text)>\s{0,4}\S",
    r"(?:^|\n)\s{0,2}(?:assistant|human|ai)\s?:\s[^\n\x00]{0,200}\n\s{0,2}(?:human|user|assistant|system)\s?:",
    r"\"\"\"\s{0,3}\n[^\n\x00]{0,20}(?:system|instruction)",
)

_DECODE = (
    r"\b(?:decode|decipher|decrypt|base ?64|rot ?13|hex(?:adecimal)?)\b[^\n\x00]{0,80}\b(?:and|then)\b[^\n\x00]{0,30}"
    r"\b(?:follow|execute|obey|run|do (?:what|as|it)|act on|comply|respond to|perform)",
    r"\b(?:follow|execute|obey|carry out)\b[^\n\x00]{0,40}\b(?:decoded|encoded|base ?64|rot ?13|hidden)\b",
)

_AUTHORITY = (
    r"\b(?:i am|i'm|this is|as) (?:your|the|an) (?:developer|creator|system administrator|sysadmin|"
    r"openai|anthropic|owner of (?:this|the) (?:bot|system|model)|root user)\b",
    r"\b(?:i have|with|granting|you have) (?:full )?(?:admin(?:istrator)?|root|developer|sudo) "
    r"(?:access|rights|privileges|permissions?)\b",
    r"\b(?:authori[sz]ation|override|access|admin) code\b[^.\n\x00]{0,20}\b(?:is|:)",
    r"\bimportant[^\n\x00]{0,20}(?:ai|assistant|model|llm|bot)s?\b[^\n\x00]{0,40}\b(?:must|should|reading|processing)",
    r"\b(?:attention|note to|instructions? (?:for|to)|message (?:for|to)|hidden note (?:for|to)) "
    r"(?:the |any |all )?(?:ai|llm|assistant|language model|chatbot)s?\b",
    r"\bif you are (?:an? )?(?:ai|llm|language model|assistant|chatbot)\b",
    r"\bsudo \w+",
)

SIGNS: tuple[tuple[str, str], ...] = tuple(
    (name, expression)
    for name, expressions in (
        ("override", _OVERRIDE),
        ("roles", _ROLES),
        ("extraction", _EXTRACTION),
        ("persona", _PERSONA),
        ("exfiltration", _EXFILTRATION),
        ("delimiters", _DELIMITERS),
        ("decode", _DECODE),
        ("authority", _AUTHORITY),
    )
    for expression in expressions
)
"""(sign, expression)."""
