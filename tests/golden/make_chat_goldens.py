#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Renders chat_templates/*.jinja with transformers' own Jinja environment and writes chat_goldens.inc.

usage: make_chat_goldens.py            Needs: pip install transformers jinja2
"""
import glob, os

import jinja2
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = os.path.dirname(os.path.abspath(__file__))
CONVERSATIONS = [
    [("user", "Hello, who are you?")],
    [("system", "You are terse."), ("user", "  2+2?\n"), ("assistant", " 4 "), ("user", "Öl & \"quotes\" {{ x }} <|end|>")],
    [("user", "a"), ("assistant", "<think>\nhm\n</think>\n\nb"), ("user", ""), ("assistant", "c")],
    [("assistant", "I start"), ("user", "no")],
]


def c_string(s):
    out = []
    for b in s.encode():
        if b == 10:
            out.append('\\n"\n    "')
        elif 32 <= b < 127 and b not in (34, 92, 63):
            out.append(chr(b))
        else:
            out.append("\\%03o" % b)
    return '"' + "".join(out) + '"'


def main():
    out = ["/* SPDX-License-Identifier: MIT */",
           "/* Written by make_chat_goldens.py: what transformers renders. NULL: it raises an error. */"]
    out.append("static const nb_chat_message chat_messages[][4] = {")
    for c in CONVERSATIONS:
        out.append("    {" + ", ".join("{%s, %s}" % (c_string(r), c_string(t)) for r, t in c) + "},")
    out.append("};")
    out.append("static const size_t n_chat_messages[] = {%s};" % ", ".join(str(len(c)) for c in CONVERSATIONS))
    out.append("typedef struct chat_golden {\n  const char *name, *text;\n  const char *want[%d][2]; /* without and with the "
               "generation prompt */\n} chat_golden;" % len(CONVERSATIONS))
    out.append("static const chat_golden chat_goldens[] = {")
    for path in sorted(glob.glob(os.path.join(HERE, "chat_templates", "*.jinja"))):
        text = open(path, encoding="utf-8", newline="").read()
        name = os.path.basename(path)[:-6]
        out.append("    {%s,\n    %s, {" % (c_string(name), c_string(text)))
        template = _compile_jinja_template(text)
        for c in CONVERSATIONS:
            row = []
            for gen in (False, True):
                try:  # strftime_now undefined: the template's own date
                    r = template.render(messages=[{"role": r, "content": t} for r, t in c], tools=None, documents=None,
                                        add_generation_prompt=gen, bos_token="<s>", eos_token="</s>",
                                        strftime_now=jinja2.Undefined(name="strftime_now"))
                    row.append(c_string(r))
                except Exception as e:
                    print(name, type(e).__name__, e)
                    row.append("NULL")
            out.append("      {" + ",\n       ".join(row) + "},")
        out.append("    }},")
    out.append("};")
    with open(os.path.join(HERE, "chat_goldens.inc"), "w") as f:
        f.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
