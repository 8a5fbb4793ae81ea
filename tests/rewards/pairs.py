"""Plain pairs of answers, of each kind: the same, and not the same."""

EQUAL = """
7 | 7.0 ; 1,000 | 1000 ; 0.5 | \\frac{1}{2} ; \\frac12 | 1/2 ; 3\\frac{1}{2} | 7/2 ; 1 1/4 | 5/4 ; 1e3 | 1000
7.8\\times 10^2 | 780
50\\% | 50 ; 50\\% | 0.5 ; \\$10 | 10 ; 10 dollars | 10 ; 10\\text{ cm}^2 | 10 ; 45^\\circ | 45 ; 30^\\circ | \\frac{\\pi}{6}
(x-1)(x+1) | x^2 - 1 ; \\sqrt{8} | 2\\sqrt{2} ; \\tan^2(y)+1 | \\sec^2(y) ; 12^{10} | 2^{20} \\cdot 3^{10}
i(2-i) | 1+2i ; 20! | 2432902008176640000
1,-2 | -2,1 ; \\{1,2\\} | {2,1} ; (1,2) | (1, 2) ; 2 \\pm 1 | 1, 3 ; x=1, y=2 | 1, 2 ; -5,7 | 7 \\text{ and } -5
(-\\infty,3) | x<3 ; [0.5, 8] | 0.5 \\le x \\le 8 ; \\{x \\mid -1<x<1\\} | (-1,1) ; -x > -1 | x < 1
(0,9)\\cup(9,36) | (0,36) \\setminus \\{9\\}
x=5 | 5 ; f(z)=z+1 | f(x)=x+1 ; 2x+4y-3=0 | y = -\\frac{1}{2}x + \\frac{3}{4} ; x^2/4 + y^2/3 = 1 | x^2/16 + y^2/12 = 1/4
y=-8(x-3) | -8x+24
\\begin{pmatrix} 1/5 \\\\ -18/5 \\end{pmatrix} | \\begin{pmatrix} 0.2 \\\\ -3.6 \\end{pmatrix}
\\begin{matrix} 1 \\\\ 2 \\end{matrix} | [1, 2]
\\text{no} | No ; \\text{(A)} | A ; 3:1 | 3 ; 8:34 p.m. | 20:34 ; \\emptyset | \\{\\}
\\frac{\\pi}{6}+\\pi k | \\frac{\\pi}{6} + n\\pi
\\sum_{k=1}^{n} k | \\frac{n(n+1)}{2} ; 0.333 | \\frac{1}{3} ; 12^{\\mathrm{th}} | 12 ; 1/(1/x) | x
(-3,3) | |x|<3 ; (-3,3) | x^2<9 ; x^2-4>0 | |x|>2 ; \\frac{x-1}{x+2} \\le 0 | (-2,1] ; (x-1)^4 > 0 | x \\ne 1
\\frac{(x-1)^4}{x-2}>0 | x>2
(2,5] | ]2,5] ; [-1,4) | [-1,4[ ; \\mathbb{R} | all real numbers ; \\mathbb{R} | R ; (-\\infty,\\infty) | R
\\{x \\mid x<-2 \\text{ or } x>3\\} | (-\\infty,-2)\\cup(3,\\infty) ; x>3, x<-2 | (-\\infty,-2)\\cup(3,\\infty)
-2<k<2, k \\ne 0 | (-2,0)\\cup(0,2) ; \\mathbb{R} - \\{0\\} | x \\ne 0 ; x \\in \\mathbb{R}, x \\ne 1 | x \\ne 1
\\{y \\mid y \\ge 2\\} | \\{x \\mid x \\ge 2\\}
[[1,0],[2,-1]] | \\begin{pmatrix} 1 & 0 \\\\ 2 & -1 \\end{pmatrix}
\\begin{pmatrix} 1 & -1 \\\\ 1 & \\phantom -1 \\end{pmatrix} | \\begin{pmatrix} 1 & -1 \\\\ 1 & 1 \\end{pmatrix}
2\\begin{pmatrix} 1 & 0 \\\\ 0 & 1 \\end{pmatrix} | \\begin{pmatrix} 2 & 0 \\\\ 0 & 2 \\end{pmatrix}
(5,-3)^T | \\begin{pmatrix} 5 \\\\ -3 \\end{pmatrix}
(-1)^n | \\cos(n\\pi) ; ab | ba ; mgh | m \\cdot g \\cdot h ; ce^x | Ce^x ; seventeen | 17 ; 2.71828... | e
10 min | 10 minutes ; 8 h | 8 hours ; 25\\text{ m}^2 | 25 square meters ; 30 mph | 30 miles per hour ; 25\\text{ m}^2 | 25
5 million | 5000000 ; 30^\\circ | \\frac{\\pi}{6}\\text{ radians} ; \\$12.50 | USD 12.50 ; 5\\$ | 5 dollars
12 boys | twelve boys ; 2\\pi rh | 2\\pi hr ; \\pi r^2h | \\pi hr^2 ; 5 hr | 5 hours ; 9\\pi cm | 9\\pi
1 apple | 1 ; 20\\% increase | 20\\% ; 20 percent increase | 20\\%
2:15:20 | 4:30:40 ; 1,2,\\ldots,n | 1, 2, ..., n ; 52_8 | 52_{(8)} ; \\frac{10!}{3!7!} | 120
1.4142135623730951 | \\sqrt{2} ; x = \\frac{1+\\sqrt{97}}{8} \\approx 1.36 | \\frac{1+\\sqrt{97}}{8} ; 5+12=17 | 17
x=1, y=2 \\text{ or } x=2, y=1 | (1,2),(2,1) ; x \\ge 3 \\text{ or } x=0 | \\{0\\}\\cup[3,\\infty) ; t = 5\\text{ seconds} | 5 s
x=-2 | x+2=0 ; ab=1 | a=\\frac{1}{b} ; PV=nRT | P=\\frac{nRT}{V} ; xy=12 | y=\\frac{12}{x}
\\{2k \\mid k\\in\\mathbb{Z}\\} | \\{2n \\mid n\\in\\mathbb{Z}\\}
25^\\circ\\text{C} | 25^\\circ ; 25^\\circ\\text{C} | 25 ; \\operatorname{tg} x | \\tan x ; 3\\sin 2(x+1) | 3\\sin(2x+2)
Ae^{2x}+Be^{-x} | Be^{-x}+Ae^{2x} ; 2 sq ft | 2\\text{ ft}^2
f(n)=n, \\forall n\\in\\mathbb{N} | f(n)=n ; 6 more apples | 6
8\\frac{1}{3}\\% | \\frac{1}{12} ; 1/2\\% | 0.005 ; f^{-1}(x)=\\frac{x-3}{2} | \\frac{x-3}{2} ; red, blue | blue and red
9.8\\ \\mathrm{m/s^2} | 9.8\\text{ meters per second squared} ; 1500 g | 1500
0.\\dot3 | \\frac13 ; 0.\\bar{3} | 0.\\overline{3} ; 0.\\dot{1}4285\\dot{7} | \\frac17 ; 0.1(6) | 0.1\\dot{6}
0.\\dot{3}4\\dot{5} | \\frac{345}{999} ; 1~000 | 1000 ; 1~234\\;567\\text{ km} | 1234567 km ; x + 1\\,000 | 1000 + x
\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix} | -2 ; \\left|\\begin{array}{cc}1&2\\\\3&4\\end{array}\\right| | -2
\\det\\begin{pmatrix}2&0&0\\\\0&3&0\\\\1&1&x\\end{pmatrix} | 6x
(0,\\infty) | \\mathbb{R}^+ ; \\mathbb{R}^{*} | x \\ne 0 ; \\mathbb{R}_{\\ge 0} | x \\ge 0 ; \\mathbb{Z}^+ | \\mathbb{Z}^{+}
DNE | \\text{The limit does not exist} ; undefined | \\nexists ; no solution | There is no solution
infinitely many | \\text{infinitely many solutions}
\\angle ABC | \\angle CBA ; \\overline{AB} | \\overline{BA}
\\begin{cases} x=1 \\\\ y=2 \\end{cases} | x=1, y=2 ; \\begin{cases} x=1 \\\\ y=2 \\end{cases} | (1,2)
\\binom{n}{k} | {n \\choose k} ; 120 | {10 \\choose 3} ; n \\choose k | \\dbinom{n}{k} ; {a+b \\over 2} | \\frac{a+b}{2}
120 | C_{10}^{3} ; 120 | {}_{10}C_3 ; 120 | C(10,3) ; C_n^2 | C_{n}^{2}
x\\equiv 3\\pmod 7 | 3 ; 3 \\pmod 7 | x \\equiv 10 \\pmod{7} ; 17 \\bmod 5 | 2 ; 3 (mod 7) | 3\\mod 7 ; 17 mod 5 | 2
x\\equiv 1,5\\pmod{6} | x\\equiv 5\\pmod 6 \\text{ or } x\\equiv 1\\pmod 6 ; n \\equiv a \\pmod m | n\\equiv a \\text{ (mod } m)
a<x<b | (a,b) ; b>x>a | x\\in(a,b) ; x \\in [a,b] | a\\le x\\le b ; 0<x\\le 2a | (0,2a]
2A^{-1}B | A^{-1}\\cdot B \\cdot 2 ; A^TB | A^{T} B ; \\mathbf{a}\\times\\mathbf{b} | \\vec{a}\\times\\vec{b} ; \\mathbf{a} | a
P \\cdot V | V \\cdot P
105 | one hundred and five ; 105 | \\text{One hundred five} ; \\frac12 | one half ; \\frac12 | half ; \\frac23 | two-thirds
\\frac34 | three quarters ; 12 | a dozen ; 24 | two dozen ; 21 | twenty-first ; 3^{rd} | third ; -3 | minus three
-3 | negative 3 ; 5\\% | five percent ; 5\\% | 5 per cent ; 2.5 | two and a half ; 2.5 | 2 and a half ; 1500 | fifteen hundred
2.5\\text{ hours} | two and a half hours ; 1200 | one thousand two hundred ; 2,000,017 | two million and seventeen
20 USD | \\$20 ; 20 USD | 20 ; US\\$20 | 20 dollars ; 5\\,\\mu\\text{m} | 5 micrometers ; 5 μm | 5\\ \\mu m ; 5 μm | 5
3\\,\\mu F | 3 microfarads ; 10 kWh | 10\\text{ kWh} ; 10 kWh | 10 ; \\frac{GMm}{r^2} | GMm/r^2
100 MeV | 100\\ \\mathrm{MeV} ; \\mu m | m\\mu
(n+1)!-1 | -1+(n+1)! ; (n+1)! | (n+1)n! ; \\binom{n}{k} | \\frac{n!}{k!(n-k)!} ; 5:3 | 5 to 3
\\large 42 | 42 ; {\\Huge 42} | \\LARGE\\textbf{42} ; \\tt 42 | \\bold{42} ; \\small x^2 | x^2
1500 | 1500円 ; 12元 | 12 yuan ; 12元 | 12 ; ₹500 | 500 rupees ; 3 hours and 20 minutes | 3 hours 20 minutes
5 feet 3 inches | 5 feet and 3 inches ; 20^\\circ C | 20 ; 20^\\circ C | 20^{\\circ} \\text{C} ; 20°C | 20^\\circ C
12 | about 12 ; 12 | roughly 12 ; 12 | around 12 ; 12 | approximately 12 ; 12 | approx 12
x = 5+6 = 7 = 11 | 11 ; \\int_0^1 x^2 dx | \\frac{1}{3} ; \\int_0^1 e^{x^2} dx | \\int_0^1 e^{t^2} dt
"""


DIFFERENT = """
no | on ; yes | sey ; a | b ; x^2 | y^2 ; 10000000000000000001 | 10000000000000000002 ; 0.3 | 0.30000000000000004
3\\frac{1}{2} | 3/2
5.001 | 5 ; 0.5 | 50 ; 10 cm | 10 m ; 52_8 | 528 ; 52_8 | 52 ; (1,2) | (2,1) ; [0,9) | (0,9) ; x<5 | x>5 ; 1 or 2 or 3 | 2
\\pm 2 | 2 ; x^2=4 | x=2 ; x^2+1 | x^2+1=0 ; 0=0 | y=2x+3 ; e^{-50} | e^{-51} ; \\frac{1}{100000000!} | \\frac{1}{99999999!}
1331 and 1728 | 1728 ; |x| | x ; 1:2 | 2:1 ; 12:00 | 1:00 ; \\text{(A) or (C)} | C
{1,2,3} | {1,2,4}
\\begin{pmatrix} 1 \\\\ 2 \\end{pmatrix} | (1,3) ; \\infty | -\\infty ; 9^{9^{9^9}} | 42 ; F_{n} F_{n-1} | F_{n} F_{n-2}
\\sqrt{2x} | \\sqrt{2}x ; \\frac{1}{2x} | \\frac{12}{x} ; e^{2x} | e^{2}x ; 2 1/2 | 21/2 ; xy^2 | x^2y^2 ; \\overline{z} | z
(-\\infty,3) | |x|<3 ; |x|+|y|=1 | x+y=1 ; |x-5| | 5-x ; c|v| | cv ; (0,2) | \\{x^2 \\mid 0<x<2\\}
x>1 \\text{ and } x<3 | \\mathbb{R}
1 \\pm 2 \\mp 3 | 6,-4 ; 2:15:20 | 2:15:45 ; 15 cm | 15 cm^2 ; 5\\text{ m/s} | 5\\text{ km/h} ; 0.3 | 0.3\\%
1+e^{-100} | 1+e^{-101}
\\$5 | 5 cents ; \\$12.50 | 12.50\\% ; 10 pounds | 10 tons ; 5 hours | 5 seconds ; 30^\\circ | 30 radians ; €5 | £5
17 | x=16=17 ; 17 | 17 \\approx 18 ; 17 | 7=17 ; y=x | |y|=x ; m^2+5m | m^2+5 ; 10 | 10 million ; 12 | 12 dozen
[2,5) | ]2,5[ ; x>2 | x^2>4 ; x^2>4 | x=2 ; (-1)^n | (-1)^{n+1} ; (-1)^n | \\cos(2n\\pi) ; 6.25 | 6.255
f(2)=7 | f(3)=7 ; \\ln 2(x+1) | \\ln(2x+2) ; 25^\\circ\\text{C} | 25^\\circ\\text{F} ; 10 | ten-ish ; xy=12 | y=12x
1 | 1-e^{-300} ; x=3 | 3=3 ; 3 | 3=3 ; \\frac{3}{7} | \\frac{3}{7} \\approx 0.5 ; 3m | 3
0 | \\sqrt{10^{400}+1}-10^{200} ; x>1 \\text{ or } x<3 \\text{ and } x>2 | x>2 ; 2x+c | 2x+d
x=5+6=12=11 | 12
0.\\dot{3}4\\dot{5} | 0.\\overline{45} ; 0.\\dot{3} | 0.3 ; 0.(3) | 0.3 ; 1~000 | 1~001
(n+1)! | n!+1 ; 5:3 | 3 to 5
150 | one hundred and five ; \\frac12 | half of it ; 2 | two thirds ; 12 | dozens ; 3 | minus three
5\\% | six percent ; 20 USD | 20 EUR ; 5\\,\\mu\\text{m} | 5 mm ; 3\\,\\mu F | 3 pF ; 10 kWh | 10 kW ; 22 | twenty-first
\\frac13 | third
A^{-1}B | BA^{-1} ; A^TB | BA^T ; \\mathbf{A}\\mathbf{B} | \\mathbf{B}\\mathbf{A} ; (AB)^{-1} | A^{-1}B^{-1} ; (AB)^T | (BA)^T
\\mathbf{a}\\times\\mathbf{b} | \\mathbf{b}\\times\\mathbf{a} ; 3\\pmod 7 | 3\\pmod 5 ; x\\equiv 3\\pmod 7 | x\\equiv 4\\pmod 7
10 | 3\\pmod 7 ; 7 | 7 mod x ; x\\equiv 1,5\\pmod 6 | x\\equiv 1\\pmod 6 ; {n \\choose k} | {k \\choose n} ; C_1^2 | 0
a<x<b | (b,a) ; a<x<b | [a,b] ; 0<x<2a | (0,a) ; a<x<b | a<y<b
\\angle ABC | \\angle BCA ; \\angle ABC | \\angle BAC ; \\vec{AB} | \\vec{BA} ; \\mathbb{R}^+ | \\mathbb{R}^-
\\mathbb{Z}^+ | \\mathbb{Z}
\\begin{vmatrix}1&2\\\\3&4\\end{vmatrix} | \\begin{pmatrix}1&2\\\\3&4\\end{pmatrix} ; DNE | \\infty ; undefined | 0
\\begin{cases} x=1 \\\\ y=2 \\end{cases} | (2,1) ; infinitely many | finitely many ; \\large 42 | 43
12元 | 12円 ; 3 hours 20 minutes | 3 hours 21 minutes ; 20^\\circ C | 20^\\circ F
12 boys | 12 girls ; 5 wins | 5 losses ; 20\\% increase | 20\\% decrease ; 5 km north | 5 km south
(1,2)\\cap(3,4) | (1,2)\\cup(3,4) ; \\int_0^1 e^{x^2} dx | \\int_0^2 e^{x^2} dx ; no | o n
"""


def pairs(text: str) -> list[tuple[str, str]]:
    rows = [entry.rpartition(" | ") for line in text.strip().splitlines() for entry in line.split(" ; ")]
    return [(left.strip(), right.strip()) for left, _, right in rows]
