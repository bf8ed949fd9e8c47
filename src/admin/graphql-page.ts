import { createHash } from 'node:crypto'

/** A page that asks the operators' GraphQL endpoint, and the header that lets its own script and style run and nothing else. */
export interface GraphqlPage {
  readonly html: string
  readonly policy: string
}

const STYLE = `body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;max-width:70rem}
textarea,pre{box-sizing:border-box;width:100%;font:13px/1.5 ui-monospace,monospace}
textarea{height:11rem}#variables{height:4rem}
pre{background:#f4f4f4;padding:.75rem;overflow:auto;white-space:pre-wrap}
label{display:block;margin:.75rem 0 .25rem}input{width:20rem}button{margin:.75rem 0;padding:.4rem 1.2rem}`

const SCRIPT = `const at=(id)=>document.getElementById(id)
async function run(){
  const headers={'content-type':'application/json','x-gatehouse-admin':'1'}
  if(at('token').value!=='')headers.authorization='Bearer '+at('token').value
  try{
    const variables=at('variables').value.trim()===''?undefined:JSON.parse(at('variables').value)
    const body=JSON.stringify({query:at('query').value,variables})
    const answer=await fetch('/graphql?tenant='+encodeURIComponent(at('tenant').value),{method:'POST',headers,body})
    at('result').textContent=answer.status+'\\n'+JSON.stringify(await answer.json(),null,2)
  }catch(error){at('result').textContent=String(error)}
}
at('run').addEventListener('click',run)
at('query').addEventListener('keydown',(event)=>{if(event.key==='Enter'&&(event.ctrlKey||event.metaKey))run()})`

const QUERY = `{
  checkUsernameAvailability(username: "ada") { available reason suggestions }
}`

/** @param sdl - the schema as text, shown beside the query */
export function createGraphqlPage(sdl: string): GraphqlPage {
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>GraphQL · Gatehouse</title><style>${STYLE}</style></head>
<body><h1>GraphQL</h1>
<p>Asks as an anonymous client, without a budget and with introspection. Ctrl+Enter runs.</p>
<label for="tenant">Tenant</label><input id="tenant" value="default">
<label for="token">Admin token, where one is configured</label><input id="token" type="password" autocomplete="off">
<label for="query">Query</label><textarea id="query" spellcheck="false">${escaped(QUERY)}</textarea>
<label for="variables">Variables, JSON</label><textarea id="variables" spellcheck="false"></textarea>
<button id="run">Run</button>
<pre id="result" aria-live="polite"></pre>
<h2>Schema</h2><pre>${escaped(sdl)}</pre>
<script>${SCRIPT}</script></body></html>
`
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(SCRIPT)}`,
    `style-src ${hashOf(STYLE)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ]
  return { html, policy: policy.join('; ') }
}

/** CSP Level 3 §2.3.1. */
function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
