// Lets a page of another site send files, by one tag:
// <script src="https://HOST/static/embed.js" data-token="csvp_…" data-feed="customers"></script>
// The token should be short-lived and allow uploads only. Told by the events csvp-sent and csvp-failed of the form.
"use strict";
(() => {
  const tag = document.currentScript;
  const api = new URL("/api/v1/tus", tag.src);
  const PIECE = 8 * 1024 * 1024;
  const TUS = { Authorization: `Bearer ${tag.dataset.token}`, "Tus-Resumable": "1.0.0" };

  const form = document.createElement("form");
  const label = form.appendChild(document.createElement("label"));
  label.textContent = tag.dataset.label || "Send files ";
  const input = label.appendChild(Object.assign(document.createElement("input"), { type: "file", multiple: true }));
  const list = form.appendChild(document.createElement("ul"));
  list.setAttribute("aria-live", "polite");
  tag.after(form);
  input.addEventListener("change", async () => {
    const files = [...input.files];
    input.value = "";
    for (const file of files) await show(file);
  });

  async function show(file) {
    const line = list.appendChild(document.createElement("li"));
    const tell = (sent) => { line.textContent = `${file.name}: ${Math.floor((100 * sent) / (file.size || 1))} %`; };
    try {
      const number = await upload(file, tell);
      line.textContent = `${file.name}: sent, number ${number}`;
      form.dispatchEvent(new CustomEvent("csvp-sent", { bubbles: true, detail: { name: file.name, number } }));
    } catch (error) {
      line.textContent = `${file.name}: not sent. ${error.message}`;
      form.dispatchEvent(new CustomEvent("csvp-failed", { bubbles: true, detail: { name: file.name, code: error.code } }));
    }
  }

  async function upload(file, tell) {
    const begun = await ask(api, { method: "POST", headers: { "Upload-Length": `${file.size}`, "Upload-Metadata": metadata(file) } });
    const address = new URL(begun.headers.get("Location"), api);
    for (let at = 0, breaks = 0; at < file.size;) {
      tell(at);
      try {
        const answer = await ask(address, {
          method: "PATCH",
          body: file.slice(at, at + PIECE),
          headers: { "Upload-Offset": `${at}`, "Content-Type": "application/offset+octet-stream" },
        });
        at = Number(answer.headers.get("Upload-Offset"));
        breaks = 0;
      } catch (error) {
        if ((error.status && ![409, 423].includes(error.status)) || ++breaks > 5) throw error;
        await new Promise((done) => setTimeout(done, 500 * 2 ** breaks));
        at = Number((await ask(address, { method: "HEAD", headers: {} }).catch(() => null))?.headers.get("Upload-Offset") ?? at);
      }
    }
    return address.pathname.split("/").pop();
  }

  async function ask(address, how, left = 8) {
    const answer = await fetch(address, { ...how, credentials: "omit", headers: { ...TUS, ...how.headers } });
    if (answer.ok) return answer;
    if (answer.status === 429 && left > 1) {
      await new Promise((done) => setTimeout(done, 1000 * (Number(answer.headers.get("Retry-After")) || 1)));
      return ask(address, how, left - 1);
    }
    const problem = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(problem.detail || `HTTP ${answer.status}`), { status: answer.status, code: problem.code });
  }

  function metadata(file) {
    const said = { filename: file.name, account: tag.dataset.account, feed: tag.dataset.feed, check: tag.dataset.check };
    const base64 = (text) => btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
    return Object.entries(said).filter(([, value]) => value).map(([key, value]) => `${key} ${base64(value)}`).join(",");
  }
})();
