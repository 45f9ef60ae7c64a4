#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes jinja.json: several hundred small templates and what Jinja, as transformers configures it, makes of each; null
where it raises an error. Some are written by hand, feature by feature, the others drawn from a grammar.

usage: make_jinja_goldens.py [N SEED OUT]      N drawn templates.   Needs: pip install transformers jinja2
"""
import copy, datetime, json, os, random, re, sys

import jinja2
from transformers.utils import chat_template_utils
from transformers.utils.chat_template_utils import _compile_jinja_template

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGES = [{"role": "system", "content": "You are terse."}, {"role": "user", "content": "  2+2?\n"},
            {"role": "assistant", "content": "four & <five>"}, {"role": "user", "content": "Straße 'x' \"y\" 😀"}]
NOW = datetime.datetime(2024, 7, 3, 9, 46, 40)  # 1720000000 in UTC

# Expressions: each becomes {{ ... }}.
EXPRESSIONS = r"""
1 + 2 * 3 - 4
7 // 2
-7 // 2
7 % 3
-7 % 3
7.5 // 2
-7.5 // 2
-7.5 % 2
7.5 % -2
2 ** 10
2 ** -1
2 ** 0.5
-2 ** 2
1 / 4
6 / 3
1 / 0
1 // 0
1 % 0
1e3
1.5e-7
1E5
2.5e+3
1e16
1e15
1e22
123456789.123
100000.0
0.0001
0.00001
1_000
0x1F
0b101
0o17
1.0
-1.5
- 3
+3
3.14|round(1)
2.5|round
3.5|round
-2.5|round
2.675|round(2)
1234|round(-2)
1250|round(-2)
42.55|round(1, 'floor')
42.51|round(1, 'ceil')
42|round(1, method='floor')
2.5|int
'7'|int
' 12 '|int
'12.7'|int
'abc'|int
'abc'|int(5)
'ff'|int(base=16)
'0x1f'|int(0, 16)
'1_000'|int
''|int
none|int
[]|int
true|int
'3.5'|float
'x'|float
'x'|float(1.5)
none|float
5|float
'inf'|float
'1e3'|float
-5|abs
-5.5|abs
'a'|abs
true + 1
true
false
none
True
None
not 1
not ''
1 and 2
0 and 2
0 or 'x'
1 or 2
'a' if 1 else 'b'
'a' if 0 else 'b'
'a' if 0
('a' if 0) is defined
1 if 2 if 0 else 3 else 4
1 < 2 < 3
1 < 3 < 2
1 == 1.0
1 == true
'1' == 1
'a' < 'b'
'a' < 1
1 != 2
[1, 2] == [1, 2]
(1, 2) == [1, 2]
[1, 2] < [1, 3]
(1, 2) < (1, 1)
{'a': 1} == {'a': 1}
{'a': 1, 'b': 2} == {'b': 2, 'a': 1}
2 in [1, 2]
'b' in 'abc'
'b' not in 'abc'
'a' in {'a': 1}
1 in 'abc'
3 in range(5)
'x' in missing
none in [none]
'a' ~ 1 ~ none ~ true ~ 1.5
'a' + 'b'
'a' + 1
'ab' * 3
3 * 'ab'
[1] * 2
[1] + [2]
(1,) + (2,)
[1] + (2,)
(1, 2)
(1,)
()
[]
{}
[1, 'a', none, 1.5, true]
['it\'s', "say \"x\"", 'both \' and "', 'tab\t', 'nl\n', 'é', '\x07', 'a\\b', '\u200b', '\xa0']
{'a': 1, 2: 'b', none: [1], (1, 2): {}}
{'a': [1, {'b': (1, 2)}]}
{[1]: 2}
[1, 2][0]
[1, 2][-1]
[1, 2][5]
[1, 2][5] is defined
'abc'[1]
'abc'[-1]
'abc'[9]
'é😀x'[1]
{'a': 1}['a']
{'a': 1}.a
{'a': 1}.b
{'a': 1}['b'] is defined
{'items': 1}.items is callable
{'items': 1}['items']
{'a': 1}.items()
{'a': 1}.keys()
{'a': 1}.values()
{'a': 1}.items()|list
{'a': 1}.keys()|length
{'a': 1}|items|list
{'a': 1}.get('a')
{'a': 1}.get('b')
{'a': 1}.get('b', 2)
{'a': 1}.get(key='a')
{'a': 1}.copy()
{'a': 1}.update({'b': 2})
{'a': 1}.pop('a')
{'a': 1}.foo()
[3, 1].append(2)
[3, 1].append
[3, 1].index(1)
[3, 1].index(7)
[1, 2, 1].count(1)
[3, 1].sort()
(1, 2).count(2)
'abc'.foo
'abc'.foo()
'abc'.upper is defined
'abc'['upper']()
'abc'.__class__
missing
missing.a
missing['a']
missing + 1
missing ~ 'a'
missing|length
missing|upper
missing|default('d')
missing|default
missing|int
missing == missing2
missing is undefined
missing[1:2]
missing()
-missing
[missing]
missing|list
missing|join(',')
missing|first
[1, 2, 3, 4, 5][1:3]
[1, 2, 3, 4, 5][::-1]
[1, 2, 3, 4, 5][-2:]
[1, 2, 3, 4, 5][:-1]
[1, 2, 3, 4, 5][::2]
[1, 2, 3, 4, 5][4:1:-1]
[1, 2, 3, 4, 5][10:]
[1, 2][::0]
'abcdef'[1:4]
'abcdef'[::-1]
'aé😀b'[::-1]
(1, 2, 3)[1:]
{'a': 1}[1:2]
5[1:2]
none[0]
5[0]
5.5.a
range(3)|list
range(1, 4)|list
range(5, 0, -2)|list
range(3)[1]
range(10)[2:4]|list
range(3)|length
range(0)|list
range()
range('a')
range(2.5)
dict(a=1, b=2)
dict({'a': 1}, b=2)
dict([('a', 1)])
dict([1])
namespace(a=1).a
namespace(a=1).b is defined
namespace({'a': 1}, b=2).b
namespace(_a=1)
'a b c'.split()
' a  b '.split()
'a,b,,c'.split(',')
'a,b,c'.split(',', 1)
'a,b,c'.split(sep=',', maxsplit=1)
'a b c'.split(none, 1)
'abc'.split('')
''.split()
''.split(',')
'a,b,c'.rsplit(',', 1)
'a b c'.rsplit()
'a\nb\r\nc\n'.splitlines()
'a\nb'.splitlines(true)
'a=b=c'.partition('=')
'a=b=c'.rpartition('=')
'abc'.partition('x')
'abc'.rpartition('x')
'  a '.strip()
'xxaxx'.strip('x')
'xyaxy'.lstrip('xy')
'xyaxy'.rstrip('yx')
'abc'.replace('b', 'X')
'aaa'.replace('a', 'b', 2)
'abc'.replace('', '-')
'abc'.replace(old='a', new='b')
'abc'.startswith('a')
'abc'.startswith(('x', 'a'))
'abc'.startswith(['x', 'a'])
'abc'.endswith('c')
'abc'.startswith('')
'abc'.removeprefix('a')
'abc'.removesuffix('c')
'abc'.removeprefix('x')
'abc'.find('c')
'abc'.find('x')
'aXbX'.rfind('X')
'abc'.index('b')
'abc'.index('x')
'banana'.count('an')
'banana'.count('')
'abc'.upper()
'ABC'.lower()
'straße ŉ ǰ ﬁ ΐ'.upper()
'ΑΣ ΑΣΑ Σ'.lower()
'İ'.lower()
'hello wORLD it\'s'.title()
'hello wORLD'.capitalize()
'ǆa ßx'.capitalize()
'aBc'.swapcase()
'abc'.isalpha()
'ab1'.isalnum()
'12'.isdigit()
''.isdigit()
'½'.isnumeric()
' \t'.isspace()
'abc'.islower()
'ABC1'.isupper()
'Abc Def'.istitle()
'abc'.isascii()
'é'.isascii()
','.join(['a', 'b'])
','.join([1, 2])
'-'.join('abc')
'ab'.ljust(5) ~ '|'
'ab'.rjust(5, '*')
'ab'.center(7, '*')
'abc'.center(6, '-')
'-42'.zfill(6)
'{} and {}'.format(1, 'b')
'{1}{0}'.format('a', 'b')
'{x}'.format(x=5)
'{{}}'.format()
'{}'.format()
'%s-%d' % ('a', 5)
'%s' % 'x'
'%d' % 3.7
'%05d|%5d|%-5d|' % (42, 42, 42)
'%.2f' % 3.14159
'%x %X %o' % (255, 255, 8)
'%e' % 12345.678
'%r' % 'a'
'%5s|%-5s|%.2s' % ('a', 'b', 'cde')
'%%'  % ()
'%s' % (1, 2)
'%d' % 'a'
'%(a)s' % {'a': 1}
'%s %s' % 'a'
'%s-%s'|format('a', 'b')
'%(x)s'|format(x=3)
'%d items'|format(3)
'abc'|upper
'aBC def'|capitalize
'hello wORLD-foo (bar)'|title
'it\'s a dog\'s life'|title
'ABC'|lower
' a '|trim
'xax'|trim('x')
'a'|trim(chars='a')
'abc'|replace('b', 'X')
'aaa'|replace('a', 'b', 1)
'aaa'|replace('a', 'b', count=2)
'abc'|replace('b', 1)
12321|replace(2, 'x')
'abc'|length
'é😀'|length
[1, 2]|count
{'a': 1}|length
5|length
none|length
'abc'|first
[1, 2]|first
[1, 2]|last
[]|first
[]|first is defined
[]|last
{'a': 1}|first
'abc'|list
{'a': 1, 'b': 2}|list
5|list
'abc'|reverse
[1, 2, 3]|reverse|list
[1, 2]|join
[1, 2]|join(', ')
['a', 'b']|join('-')
[{'a': 1}, {'a': 2}]|join(',', attribute='a')
[1, none, 'x']|join('|')
[1, 2]|join(d='+')
{'a': 1, 'b': 2}|join(',')
'x'|default('y')
''|default('y')
''|default('y', true)
none|default('y')
none|d('y', boolean=true)
''|d
'a\nb\n\nc'|indent
'a\nb\n\nc'|indent(2)
'a\nb\n\nc'|indent(2, true)
'a\nb\n\nc'|indent(2, first=true, blank=true)
'a\nb'|indent('> ')
'a\nb\n'|indent(2)
''|indent(2, true)
'hello world foo bar'|truncate(9)
'hello world foo bar'|truncate(9, true)
'hello world foo bar'|truncate(11, end='..')
'hello world foo bar'|truncate(9, false, '…', 0)
'hello world'|truncate(9)
'short'|truncate(255)
'a b, c'|wordcount
'ab'|center(6) ~ '|'
[3, 1, 2]|sort
[3, 1, 2]|sort(reverse=true)
['b', 'A', 'c']|sort
['b', 'A', 'c']|sort(case_sensitive=true)
['b', 'A', 'c']|sort(false, true)
[{'a': 2, 'n': 'x'}, {'a': 1, 'n': 'y'}]|sort(attribute='a')
[{'a': 1, 'b': 2}, {'a': 1, 'b': 1}]|sort(attribute='a,b')
[{'a': {'b': 2}}, {'a': {'b': 1}}]|sort(attribute='a.b')|map(attribute='a.b')|list
[1, 'a']|sort
[[2, 'x'], [1, 'y']]|sort(attribute=0)
[[2, 'x'], [1, 'y']]|sort(attribute='1')
'cab'|sort
{'b': 1, 'a': 2}|dictsort
{'b': 1, 'A': 2, 'c': 0}|dictsort
{'b': 1, 'A': 2}|dictsort(true)
{'b': 1, 'a': 2}|dictsort(by='value')
{'b': 1, 'a': 2}|dictsort(false, 'value', true)
{'b': 1}|dictsort(by='x')
[1]|dictsort
[{'r': 'a', 'x': 1}, {'r': 'b', 'x': 2}, {'r': 'a', 'x': 3}]|groupby('r')
[{'r': 'B', 'x': 1}, {'r': 'b', 'x': 2}]|groupby('r')
[{'r': 'B', 'x': 1}, {'r': 'b', 'x': 2}]|groupby('r', case_sensitive=true)
[{'r': 'a'}, {'x': 1}]|groupby('r', default='z')
[1, 2, 1, 3]|unique|list
['a', 'A', 'b']|unique|list
['a', 'A']|unique(true)|list
[{'a': 1}, {'a': 1}]|unique(attribute='a')|list
[3, 1, 2]|min
[3, 1, 2]|max
['b', 'A']|min
['b', 'A']|max(case_sensitive=true)
[{'a': 2}, {'a': 1}]|min(attribute='a')
[]|min
[1, 2.5]|sum
[{'a': 1}, {'a': 2}]|sum(attribute='a')
[1]|sum(start=10)
[[1], [2]]|sum(start=[])
['a']|sum
[1, 2, 3, 4, 5]|batch(2)|list
[1, 2, 3]|batch(2, 'x')|list
[1, 2, 3, 4, 5]|slice(2)|list
[1, 2, 3]|slice(2, 'x')|list
[1, 2, 3]|map('string')|list
['a', 'b']|map('upper')|join(',')
[1, 2]|map
[{'a': {'b': 1}}, {'a': {'b': 2}}]|map(attribute='a.b')|list
[{'a': 1}, {}]|map(attribute='a', default='d')|list
[{'a': 1}, {}]|map(attribute='a')|list
[[1, 2], [3]]|map('first')|list
[[1, 2], [3]]|map(attribute=0)|list
['a', 'b']|map('replace', 'a', 'x')|list
['1', '2']|map('int')|sum
[1, 2, 3, 4]|select('odd')|list
[1, 2, 3, 4]|reject('odd')|list
[0, 1, '', 'a', none]|select|list
[0, 1]|reject|list
[1, 2, 3]|select('gt', 1)|list
[1, 2, 3]|select('>=', 2)|list
['a', 'b']|select('in', ['a'])|list
[1, 2]|select('divisibleby', 2)|list
[1, 'a']|select('string')|list
[{'a': 1}, {'a': 2}]|selectattr('a', 'equalto', 2)|list
[{'a': 1}, {'a': 2}, {}]|selectattr('a')|list
[{'a': 1}, {}]|selectattr('a', 'defined')|list
[{'a': {'b': 1}}, {'a': {'b': 0}}]|selectattr('a.b')|list
[{'a': 1}, {'a': 2}]|rejectattr('a', '==', 2)|list
[{'a': 1}]|selectattr
none|selectattr('a')|list
messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|list
messages|map(attribute='role')|unique|list
messages|selectattr('role', 'eq', 'user')|first
messages|rejectattr('role', 'in', ['user', 'system'])|list|length
(messages|selectattr('role', 'eq', 'x'))|list
(messages|selectattr('role', 'eq', 'x')) and 'yes'
[1, 2]|map('string')
([1, 2]|map('string'))[0] is defined
[1, 2]|map('string')|length
[1]|select|first
5|string
[1]|string
none|string
'<a>'|safe
('a'|safe) ~ 'b'
1 is defined
1 is number
1.5 is number
'1' is number
true is number
1 is integer
true is integer
1.0 is integer
1.5 is float
true is boolean
1 is boolean
'a' is string
1 is string
[] is iterable
5 is iterable
'a' is iterable
[] is sequence
{} is sequence
{} is mapping
[] is mapping
none is none
none is not none
missing is none
4 is even
3 is odd
'a' is even
4 is divisibleby 2
4 is divisibleby(3)
4 is eq 4
4 is equalto(4)
4 is ne 5
4 is lt 5
4 is gt(5)
4 is le 4
4 is ge 5
4 is lessthan 5
4 is greaterthan 5
4 is sameas 4
none is sameas none
true is sameas true
1 is sameas true
1 is in [1, 2]
1 is in([2])
'a' is in 'abc'
'ABC' is upper
'abc' is lower
'aBC' is lower
true is true
1 is true
false is false
0 is false
range is callable
'a' is callable
'a'.upper is callable
1 is not string
1 is foo
1 is defined is true
1 is defined and 2
4 is eq 2 + 2
not 4 is eq 4
'a' is eq 'a' ~ ''
joiner is defined
cycler is defined
lipsum is defined
raise_exception is defined
dict is defined
self is defined
raise_exception('no')
raise_exception()
foo('x')
'a'|foo
'a'|upper(1)
'a'|upper(x=1)
'a'|default(foo=1)
[1]|join(sep=',')
[1]|sort(key=1)
'a'|trim(1, 2)
'a'|replace('a')
'a'|indent(wide=1)
[1]|tojson(foo=1)
'a'.upper(1)
'a'.split(foo=1)
[1, 'é', none, true, 1.5, {'a': [1]}]|tojson
{'b': 1, 'a': [1, 2, {'c': none}]}|tojson(indent=2)
{'b': 1, 'a': 2}|tojson(sort_keys=true)
'é😀'|tojson(ensure_ascii=true)
{'a': 1, 'b': [1, 2]}|tojson(separators=(',', ':'))
{'a': []}|tojson(indent=4)
{1: 'a', none: 2, true: 3, 1.5: 4}|tojson
(1, 2)|tojson
'<a href="x">&</a>'|tojson
missing|tojson
[missing]|tojson
range(3)|tojson
{'a': 1}.items()|tojson
1e100|tojson
'\x7f\x1f'|tojson
{}|tojson
'a' 'b'
'a\x41\u0042\101\0'|length
'\n\t\\\'\"'|length
'a\qb'
"it's"
'say "x"'
1, 2
1,
(1, (2, 3))[1][0]
[[1, 2], [3]][0][1]
{'a': {'b': [1, 2]}}.a.b[1]
{'a': 1}|attr('keys') is defined
'abc'|attr('upper')()
messages[0].role
messages[0]['role']
messages[-1].content|upper
messages|length
messages[1:]|length
messages[0].foo is defined
messages.foo is defined
messages[9].role
tools
tools is none
documents is none
add_generation_prompt
bos_token ~ eos_token
pad_token is defined
strftime_now('%d %b %Y')
strftime_now('%Y-%m-%dT%H:%M:%S')
strftime_now('%A %B %j %p %I %y %%')
loop is defined
{'a': 1, 'a': 2}
{1: 'a', true: 'b', 1.0: 'c'}
[1, 2, 3] is eq [1, 2, 3]
1 in [true]
'a' in ['A'|lower]
(1 if true else 2) + 3
'x' * 0
'x' * -1
''.join([])
1.5 + 1
1.5 * 2
10 ** 20
9223372036854775807 + 1
9223372036854775807
0.1 + 0.2
1e308 * 10
3 | string ~ 'a'
-3 | abs
'a' ~ 'b' | upper
('a' ~ 'b') | upper
1 + 2 ~ 3
'1' ~ 2 + 3
2 * 3 ~ 4
a.b.c
1 == 1 == 1
1 < 2 == true
not true == false
true and not false
[1, 2] | length > 1
'é' < 'z'
'a' > 'A'
none == none
none < 1
[] or 'empty'
{} or 'empty'
0.0 or 'zero'
""".strip("\n").split("\n")

# Whole templates.
TEMPLATES = [
    "{% for m in messages %}{{ loop.index }}:{{ m.role }}{% if not loop.last %},{% endif %}{% endfor %}",
    "{% for m in messages %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for m in messages %}{{ loop.previtem.role if loop.previtem is defined }}>{{ loop.nextitem.role if loop.nextitem is defined }};{% endfor %}",
    "{% for i in range(5) %}{{ loop.cycle('a', 'b') }}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{{ loop.changed(i) }} {% endfor %}",
    "{% for i in [1, 1, 2] %}{{ loop.changed(i, 'x') }} {% endfor %}",
    "{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for i in [1] %}x{% else %}empty{% endfor %}",
    "{% for i in range(6) if i is odd %}{{ i }}/{{ loop.length }} {% endfor %}",
    "{% for i in range(6) if i > 10 %}{{ i }}{% else %}none{% endfor %}",
    "{% for k, v in {'a': 1, 'b': 2}.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% for k in {'a': 1} %}{{ k }}{% endfor %}",
    "{% for k, v in {'a': 1}|dictsort %}{{ k }}{{ v }}{% endfor %}",
    "{% for a, (b, c) in [(1, (2, 3))] %}{{ a }}{{ b }}{{ c }}{% endfor %}",
    "{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}",
    "{% for a, b in [(1, 2, 3)] %}{{ a }}{% endfor %}",
    "{% for a in 5 %}{% endfor %}",
    "{% for a in none %}{% endfor %}",
    "{% for a in missing %}x{% else %}e{% endfor %}",
    "{% for c in 'aé' %}[{{ c }}]{% endfor %}",
    "{% for x in 1, 2 %}{{ x }}{% endfor %}",
    "{% for i in range(10) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(5) %}{% if i == 3 %}{% continue %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% for j in range(3) %}{% if j == 1 %}{% break %}{% endif %}{{ i }}{{ j }} {% endfor %}{% endfor %}",
    "{% for i in range(2) %}{{ loop.index }}{% for j in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for x in [[1, [2]], [3]] recursive %}({% if x is iterable %}{{ loop(x) }}{% else %}{{ x }}@{{ loop.depth }}{% endif %}){% endfor %}",
    "{% for x in [1] %}{{ loop(x) }}{% endfor %}",
    "{% for x in [1] %}{{ loop.foo is defined }}{% endfor %}",
    "{% set x = 1 %}{% for i in [1, 2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",
    "{% set ns = namespace(x=1) %}{% for i in [1, 2] %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace() %}{% set ns.a %}b{{ 1 }}{% endset %}{{ ns.a }}",
    "{% set ns = namespace() %}{{ ns }}",
    "{% set d = {} %}{% set d.a = 1 %}",
    "{% set _ = {'a': 1}.update({'b': 2}) %}",
    "{% if 0 %}a{% elif 1 %}b{% else %}c{% endif %}",
    "{% if 0 %}a{% elif '' %}b{% else %}c{% endif %}",
    "{% if 1 %}{% set y = 2 %}{% endif %}{{ y }}",
    "{% if missing %}a{% else %}b{% endif %}",
    "{% if messages[0].role == 'system' and messages[0].content %}{{ messages[0]['content'] }}{% endif %}",
    "{% set a, b = 1, 2 %}{{ a }}{{ b }}",
    "{% set a = 1, 2 %}{{ a }}",
    "{% set (a, b) = [1, 2] %}{{ a }}{{ b }}",
    "{% set a, b = [1] %}{{ a }}",
    "{% set x %}a{{ 1 }}b{% endset %}{{ x }}|{{ x|length }}",
    "{% set x | upper | trim %} abc {% endset %}[{{ x }}]",
    "{% set x %}{% set y = 3 %}{{ y }}{% endset %}{{ x }}{{ y }}",
    "{% macro f(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=5, a=4) }}{{ f() }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, 2) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(c=1) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1, a=2) }}",
    "{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}",
    "{% macro f(a, b=a) %}{{ b }}{% endmacro %}{{ f(7) }}",
    "{% macro f(x) %}{{ x }}{% if x > 0 %}{{ f(x - 1) }}{% endif %}{% endmacro %}{{ f(3) }}",
    "{% set g = 5 %}{% macro f() %}{{ g }}{% endmacro %}{{ f() }}{% set g = 6 %}{{ f() }}",
    "{% for i in [1, 2] %}{% macro f() %}{{ i }}{% endmacro %}{{ f() }}{% endfor %}",
    "{% macro f() %}{{ x }}{% endmacro %}{% for x in [1] %}{{ f() }}{% endfor %}",
    "{% macro f() %}a{% endmacro %}{{ f.name }}{{ f is callable }}{{ f is defined }}",
    "{% macro f() %}  a  {% endmacro %}[{{ f()|trim }}]{{ f() + 'x' }}{{ f()|length }}",
    "{% macro box(t) %}<{{ t }}>{{ caller() }}</{{ t }}>{% endmacro %}{% call box('b') %}in{{ 1 + 1 }}{% endcall %}",
    "{% macro each(l) %}{% for x in l %}{{ caller(x, loop.index) }}{% endfor %}{% endmacro %}{% call(x, i) each([5, 6]) %}{{ i }}={{ x }};{% endcall %}",
    "{% macro f() %}a{% endmacro %}{% call f() %}b{% endcall %}",
    "{% macro f() %}{{ caller is defined }}{% if caller %}{{ caller() }}{% endif %}{% endmacro %}{{ f() }}{% call f() %}b{% endcall %}",
    "{% call(x) missing() %}{% endcall %}",
    "{% filter upper %}abc{{ 'd' }}{% endfilter %}",
    "{% filter replace('a', 'b')|upper %}aac{% endfilter %}",
    "{% filter indent(2) %}a\nb\n{% endfilter %}|",
    "{% filter foo %}a{% endfilter %}",
    "{% raw %}{{ x }}{% if %}{# c #}{% endraw %}|",
    "a\n{% raw %}\n{{ x }}\n{% endraw %}\nb",
    "a  {%- raw -%}  {{ x }}  {%- endraw -%}  b",
    "  {% raw %}x{% endraw %}\n  y",
    "{% raw %}a",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% set a = 5 %}{% with a = 1, b = a %}{{ a }}{{ b }}{% endwith %}{{ a }}",
    "{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}",
    "{% generation %}a{% set z = 1 %}{{ z }}{% endgeneration %}{{ z }}",
    "{% set j = joiner(', ') %}{% for i in [1, 2, 3] %}{{ j() }}{{ i }}{% endfor %}",
    "{% set j = joiner() %}{{ j() }}a{{ j() }}b",
    "{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.current }}{{ c.next() }}{{ c.next() }}{{ c.reset() }}{{ c.next() }}",
    "{% set g = [1, 2]|map('string') %}{{ g|list }}{{ g|list }}",
    "{% set g = [1, 2, 3]|select %}{{ g|first }}{{ g|list }}",
    "{% set f = 'abc'.upper %}{{ f() }}",
    "{% set t = (1, 2) %}{{ t[0] }}{{ t|length }}{{ t is sequence }}{{ t }}",
    "{% macro f(a, b, c) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(*[1, 2], **{'c': 3}) }}",
    "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(*5) }}",
    "{{ dict(**{'a': 1}) }}",
    "{% for g in [{'r': 'a', 'x': 1}, {'r': 'b', 'x': 2}, {'r': 'a', 'x': 3}]|groupby('r') %}{{ g.grouper }}:{{ g.list|map(attribute='x')|list }};{% endfor %}",
    "{% for name, items in messages|groupby('role') %}{{ name }}{{ items|length }} {% endfor %}",
    "{% for row in [1, 2, 3]|batch(2, 0) %}{{ row }}{% endfor %}",
    "a\n  {% if 1 %}\n  b\n  {% endif %}\nc\n",
    "a\n  {%- if 1 -%}\n  b\n  {%- endif -%}\nc\n",
    "a\n  {%+ if 1 +%}\n  b\n  {%+ endif +%}\nc\n",
    "  {{ 1 }}  \n  {{- 2 -}}  \n 3",
    "a {# c #} b\n{# c #}\nd {#- c -#} e",
    "  {# c #}\n  {% set x = 1 %}\n{{ x }}\n\n",
    "{{ 'a' }}\n{{ 'b' }}\n",
    "\r\na\r\n{% if 1 %}\r\nb{% endif %}\r\n",
    "{% if 1 %}a{% endif %}\n\n\nb",
    "{{ '{{' }}{{ '%}' }}",
    "{% set x = '%}' %}{{ x }}",
    "{{ {'a': {'b': 1}} }}",
    "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% foo %}", "{% do 1 %}",
    "{% endif %}", "{% if 1 %}", "{{ 1", "{{ }}", "{% if %}{% endif %}", "{{ 1 + }}", "{{ (1 }}", "{{ [1 }}", "{{ 1) }}",
    "{{ a b }}", "{% set 1 = 2 %}", "{% set true = 2 %}", "{% for in x %}{% endfor %}", "{# a", "{{ 'a }}", "{{ x|}}", "{{ x is }}",
    "{{ x. }}", "{{ x[] }}", "{{ 1 if }}", "{% macro %}{% endmacro %}", "{% macro f(1) %}{% endmacro %}", "{{ f(a=1, 2) }}",
    "{% macro f(a=1, b) %}{% endmacro %}", "{{ {'a'} }}", "{{ {'a': } }}", "{{ 1__0 }}", "{{ 01 }}", "{{ 1a }}", "{{ a..b }}", "{{ $x }}", "{{ a ? b }}",
    "{{ x|length.foo }}", "{{ 'abc'|upper.lower() }}", "{{ 'abc'|list[0] }}",
    "{% if messages|length > 2 and messages[-1].role == 'user' %}{{ messages[-1].content.split(' ')[0] }}{% endif %}",
    "{% for m in messages[::-1] %}{{ m.role[0]|upper }}{% endfor %}",
    "{% for m in messages|reverse %}{{ m.role[0] }}{% endfor %}",
    "{% set ns = namespace(found=false) %}{% for m in messages %}{% if m.role == 'assistant' and not ns.found %}{% set ns.found = true %}{{ loop.index }}{% endif %}{% endfor %}{{ ns.found }}",
    "{%- for m in messages %}\n{{- '<|' + m.role + '|>\\n' + m.content|trim + '<|end|>\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n{{- '<|assistant|>' }}\n{%- endif %}",
    "{% set sys = messages|selectattr('role', 'equalto', 'system')|list %}{{ sys[0].content if sys else 'none' }}",
    "{{ messages[2].content|safe }}", "{{ messages[2].content|replace('&', 'and') }}",
    "{% set tool = {'function': {'name': 'f', 'parameters': {'properties': {'x': {'type': 'int'}}}}} %}{% for k, v in tool.function.parameters.properties.items() %}{{ k }}:{{ v.type }}{% endfor %}",
    "{% set p = {'items': [1]} %}{% if p.items is defined %}{{ p['items'] }}{% endif %}{% for i in p.items %}{% endfor %}",
    "{% set p = {'values': 3, 'x': 1} %}{{ p['values'] }}{{ p.x }}{{ p.values()|list }}",
]

VALUES = ["1", "0", "-3", "2.5", "'abc'", "''", "'a b'", "'É ß'", "[]", "[1, 2, 3]", "['b', 'a']", "(1, 2)", "{}", "{'a': 1, 'b': [2]}", "none", "true", "false",
          "missing", "range(3)", "messages", "messages[0]", "[{'a': 2}, {'a': 1}]", "'x,y'", "1e3", "' t '"]
FILTERS = ["upper", "lower", "title", "capitalize", "trim", "length", "first", "last", "list", "string", "int", "float", "abs", "join", "join(',')", "sort",
           "reverse", "reverse|list", "unique|list", "sum", "min", "max", "default('d')", "default('d', true)", "replace('a', 'X')", "tojson", "tojson(indent=1)", "round", "round(1)", "items|list",
           "dictsort", "map('string')|list", "map(attribute='a')|list", "select|list", "reject('none')|list", "selectattr('a')|list", "selectattr('a', 'gt', 1)|list",
           "groupby('a')", "batch(2)|list", "slice(2)|list", "indent", "truncate(2, true, '', 0)", "wordcount", "center(5)", "count", "string|length", "sort(reverse=true)", "sort(attribute='a')"]
TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "mapping", "sequence", "iterable", "true", "false", "odd", "even",
         "divisibleby 2", "eq 1", "ne 'abc'", "lt 2", "ge 1", "in [1, 'abc']", "sameas none", "upper", "lower", "callable"]
METHODS = ["upper()", "split()", "split(',')", "strip()", "items()", "keys()|list", "get('a')", "get('z', 0)", "startswith('a')", "replace('a', 'bb')", "title()", "isdigit()",
           "count('a')", "index(1)", "copy()", "join(['p', 'q'])", "find('b')", "a", "role", "foo", "rsplit(',', 1)", "splitlines()", "capitalize()", "endswith('c')"]
OPERATORS = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", ">=", "in", "not in", "and", "or"]


def draw(rng, depth=0):
    k = rng.random()
    if depth > 2 or k < 0.25:
        return rng.choice(VALUES)
    v = draw(rng, depth + 1)
    if k < 0.5: return f"({v})|{rng.choice(FILTERS)}"
    if k < 0.62: return f"({v}) is {rng.choice(['', 'not '])}{rng.choice(TESTS)}"
    if k < 0.74: return f"({v}).{rng.choice(METHODS)}"
    if k < 0.8: return f"({v})[{rng.choice(['0', '-1', '1:', '::-1', chr(39) + 'a' + chr(39), ':2'])}]"
    if k < 0.85: return f"({v}) if ({draw(rng, depth + 1)}) else ({rng.choice(VALUES)})"
    if k < 0.88: return f"not ({v})"
    return f"({v}) {rng.choice(OPERATORS)} ({draw(rng, depth + 1)})"


def render(text):
    class fixed(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return NOW
    chat_template_utils.datetime = fixed
    try:
        out = _compile_jinja_template(text).render(messages=copy.deepcopy(MESSAGES), tools=None, documents=None, add_generation_prompt=True,
                                                   bos_token="<s>", eos_token="</s>")
    except Exception:
        return None
    return out if "<generator object" not in out and " at 0x" not in out and "range(" not in out else None


def main():
    n, seed, path = (int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]) if len(sys.argv) > 1 else (400, 8, os.path.join(HERE, "jinja.json"))
    rng, cases = random.Random(seed), []
    texts = ["{{ " + e + " }}" for e in EXPRESSIONS] + TEMPLATES if len(sys.argv) == 1 else []
    seen = set(texts)
    while len(texts) - len(EXPRESSIONS) - len(TEMPLATES) < n if len(sys.argv) == 1 else len(texts) < n:
        t = "{{ " + draw(rng) + " }}"
        if t not in seen:
            seen.add(t)
            texts.append(t)
    for t in texts:
        cases.append([t, render(t)])
    with open(path, "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=True) for c in cases) + "\n]\n")
    print(len(cases), "templates,", sum(c[1] is None for c in cases), "errors")


if __name__ == "__main__":
    main()
