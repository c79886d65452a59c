"""How the HTML report looks, and the little script that filters and unfolds its table."""

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d4d9df;--card:#f5f7f9;--link:#0a53b8;
--good:#1a7438;--bad:#b3261e;--warn:#8a5300;--edge:#7b8794;--conv:#2f6fd0;--dense:#7a4fc4;--norm:#2a8a7f;--act:#d06a1d;
--pool:#b03a78;--merge:#7d8b1f;--rnn:#a34a2a;--attn:#4d5bd6;--other:#87909b;--end:#3c4650}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--ink:#e6e9ed;--soft:#9aa5b1;--line:#333b45;--card:#1d232a;
--link:#82b4ff;--good:#5fce83;--bad:#ff8a80;--warn:#f0b35c;--edge:#75808c;--conv:#6ea3f5;--dense:#b08cf0;--norm:#5cc4b8;
--act:#f0974f;--pool:#e778b0;--merge:#b9c95a;--rnn:#e08a66;--attn:#8e9aff;--other:#8d97a3;--end:#c3ccd6}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:24px 28px 64px;background:var(--bg);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
h1{font-size:28px;line-height:1.2;margin:0 0 4px}
h2{font-size:20px;margin:44px 0 10px;padding-bottom:5px;border-bottom:1px solid var(--line)}
p{margin:8px 0;max-width:78ch}
a{color:var(--link)}
.soft,.lead{color:var(--soft)}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:14px 0 0}
code,.num,td.num,.hash{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
font-size:.87em;font-variant-numeric:tabular-nums}
dl.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:10px;margin:18px 0 0}
dl.cards div{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:8px 12px}
dl.cards dt{color:var(--soft);font-size:13px}
dl.cards dd{margin:0;font-size:17px;font-weight:600;font-variant-numeric:tabular-nums}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}
table{border-collapse:collapse;width:100%;margin:10px 0}
caption{text-align:left;color:var(--soft);padding:0 0 4px}
th,td{text-align:left;vertical-align:top;padding:5px 10px;border-bottom:1px solid var(--line)}
thead th{position:sticky;top:0;background:var(--bg);color:var(--soft);font-size:13px;font-weight:600;
box-shadow:inset 0 -1px var(--line);z-index:1}
.num{text-align:right;white-space:nowrap}
table.small{font-size:13px;margin:8px 0;width:auto}
table.small th,table.small td{padding:2px 8px;position:static;background:none}
tbody:target td{background:var(--card)}
#layers tr:has(+.more) td{border-bottom:0;padding-bottom:0}
.more td{padding-top:0}
td.layer{min-width:12em}
td.shape,td.shape code{white-space:nowrap}
p.options{max-width:none}
p.options code{display:inline}
td .class{color:var(--soft);font-size:13px;display:block}
td code{display:block}
details{margin:2px 0}
summary{cursor:pointer;color:var(--link);font-size:13px;width:max-content;max-width:100%}
.hash{font-size:12px}
.tools{display:flex;flex-wrap:wrap;gap:10px;align-items:center;margin:8px 0}
.tools label{display:flex;flex-wrap:wrap;gap:8px;align-items:center}
.tools input{font:inherit;padding:4px 8px;width:260px;max-width:60vw;
border:1px solid var(--line);border-radius:5px;
background:var(--bg);color:inherit}
.tools button{font:inherit;padding:4px 10px;border:1px solid var(--line);border-radius:5px;background:var(--card);
color:inherit}
.columns{display:flex;flex-wrap:wrap;align-items:flex-start;gap:26px 34px;margin:14px 0}
.columns figure{margin:0;max-width:100%;overflow-x:auto}
.columns figcaption{color:var(--soft);font-size:12px;margin-bottom:4px}
svg{display:block;font-family:inherit}
svg text{fill:var(--ink);font-size:11px}
svg a{text-decoration:none}
svg a:hover .name,svg a:focus .name{fill:var(--link);text-decoration:underline}
svg .box{fill:var(--card);stroke:var(--line)}
svg .class{fill:var(--soft);text-anchor:end;font-size:10px}
svg .shape{fill:var(--soft);text-anchor:end;font:10px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",
monospace}
svg .label{fill:var(--link);text-anchor:middle}
svg .off .name{fill:var(--bad)}
svg .line{fill:none;stroke:var(--edge);stroke-width:1.3}
svg .head{fill:var(--edge)}
.plotbox{overflow-x:auto}
svg.plot{width:100%;min-width:620px;height:auto}
svg .grid{stroke:var(--line)}
svg .mark{fill:var(--soft);text-anchor:end}
svg .place{fill:var(--soft);text-anchor:middle}
svg .trend{fill:none;stroke:var(--line)}
svg circle.good{fill:var(--conv)}
svg path.bad{stroke:var(--bad);stroke-width:2.4;fill:none}
svg .bar{fill:var(--conv)}
.legend{display:flex;flex-wrap:wrap;gap:4px 16px;padding:0;margin:8px 0;list-style:none;font-size:13px;
color:var(--soft)}
.legend svg{display:inline-block;vertical-align:-1px;margin-right:5px}
.conv{fill:var(--conv)}.dense{fill:var(--dense)}.norm{fill:var(--norm)}.act{fill:var(--act)}.pool{fill:var(--pool)}
.merge{fill:var(--merge)}.rnn{fill:var(--rnn)}.attn{fill:var(--attn)}.other{fill:var(--other)}.end{fill:var(--end)}
footer{margin-top:48px;color:var(--soft);font-size:13px}
@media screen and (max-width:760px){body{padding:16px 14px 48px}h1{font-size:23px}
table.wide,.wide>caption,.wide>tbody,.wide>tbody>tr,.wide>tbody>tr>td{display:block;width:auto}
.wide>thead{position:absolute;left:-9999px}
.wide>tbody{padding:7px 0;border-bottom:1px solid var(--line)}
table.wide:not(#layers) tr{padding:4px 0}
.wide>tbody>tr>td{border:0;padding:1px 0;text-align:left;white-space:normal}
.wide>tbody>tr>td:empty{display:none}
.wide>tbody>tr>td.place{float:left;margin-right:10px}
td[data-is]::before{content:attr(data-is) " ";color:var(--soft);font:13px system-ui,sans-serif}
td[data-is] code{display:inline}
table.small{display:block;overflow-x:auto;overflow-wrap:normal}}
@media print{:root{--bg:#fff;--ink:#000;--soft:#444;--card:#f6f6f6;--line:#bbb;--link:#000}
body{max-width:none;padding:0;font-size:11px}.tools,nav{display:none}h2{break-after:avoid}
tr,tbody[id],figure{break-inside:avoid}
thead th{position:static}svg.plot{min-width:0}
.columns{zoom:.62}body{font-size:10px}h1{font-size:20px}h2{font-size:14px;margin-top:20px}
summary,td .class,thead th,p{font-size:10px}.more details:not([open]){display:none}th,td{padding:2px 6px}
td.layer{min-width:9em}}
"""

SCRIPT = """
for(const tools of document.querySelectorAll(".tools"))tools.hidden=false;
const rows=[...document.querySelectorAll("#layers tbody")],find=document.getElementById("find"),
said=document.getElementById("found"),unfold=document.getElementById("unfold");
find.addEventListener("input",()=>{const word=find.value.toLowerCase();let count=0;
for(const row of rows){const fits=row.textContent.toLowerCase().includes(word);row.hidden=!fits;count+=fits}
said.textContent=word?count+" of "+rows.length:""});
unfold.addEventListener("click",()=>{const all=[...document.querySelectorAll("#layers details")],
open=!all.every(one=>one.open);for(const one of all)one.open=open});
"""
