// What makes the pages quicker to use; each works without it, too.
"use strict";
const csrf = document.body.dataset.csrf || "";
const $ = (what, where = document) => where.querySelector(what);
const $$ = (what, where = document) => [...where.querySelectorAll(what)];

// Numbers and times as the reader writes them.
function localize(where) {
  for (const one of $$("data:not(.plain-text)", where)) {
    one.textContent = Number(one.value).toLocaleString();
  }
  for (const one of $$("time", where)) {
    one.textContent = new Date(one.dateTime).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  }
}

// A part of a page that changes by itself until what it tells of is over.
async function follow(part) {
  for (;;) {
    await new Promise((done) => setTimeout(done, document.hidden ? 5000 : 1000));
    let answer;
    try {
      answer = await fetch(part.dataset.live, { headers: { Accept: "text/html" } });
    } catch {
      continue;
    }
    if (answer.redirected || !answer.ok || answer.headers.get("X-Over")) {
      location.reload();
      return;
    }
    const text = await answer.text();
    if (text !== part.dataset.last) {
      part.dataset.last = text;
      part.replaceChildren(...new DOMParser().parseFromString(text, "text/html").body.childNodes);
      localize(part);
    }
  }
}

// Files dropped or chosen: one line a file, with a bar while it is sent.
function takeFiles(form) {
  const input = $("input[type=file]", form);
  const list = $(".files", form) || form.parentElement.appendChild(Object.assign(document.createElement("ul"), { className: "files" }));
  const zone = form;
  list.setAttribute("aria-live", "polite");
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => { event.preventDefault(); zone.classList.add("over"); });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, () => zone.classList.remove("over"));
  }
  zone.addEventListener("drop", (event) => { event.preventDefault(); sendAll([...event.dataTransfer.files]); });
  input.addEventListener("change", () => { if (ready()) sendAll([...input.files]); });
  form.addEventListener("submit", (event) => { event.preventDefault(); if (ready()) sendAll([...input.files]); });

  function ready() {
    const account = form.elements.account;
    if (account.value && account.checkValidity()) return true;
    account.reportValidity();
    account.focus();
    return false;
  }
  async function sendAll(files) {
    if (!ready()) return;
    const done = [];
    for (const file of files) done.push(await send(file));
    input.value = "";
    if (done.length === 1 && done[0]) location.href = `/imports/${done[0].number}`;
  }
  function send(file) {
    const line = document.createElement("li");
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: file.name });
    const size = Object.assign(document.createElement("span"), { className: "muted number", textContent: inBytes(file.size) });
    const bar = Object.assign(document.createElement("progress"), { className: "progress", max: 1, value: 0, ariaLabel: `Sending ${file.name}` });
    const said = Object.assign(document.createElement("span"), { className: "small", textContent: "Sending" });
    line.append(name, size, bar, said);
    list.append(line);
    const check = form.elements.check.checked;
    const feed = form.elements.feed.value;
    const query = new URLSearchParams({ check, ...(feed && { feed }) });
    const path = `/api/v1/uploads/${form.elements.account.value}/${encodeURIComponent(file.name)}?${query}`;
    return new Promise((settled) => {
      const request = new XMLHttpRequest();
      request.open("PUT", path);
      request.setRequestHeader("X-CSRF-Token", csrf);
      request.responseType = "json";
      request.upload.onprogress = (event) => {
        bar.value = event.total ? event.loaded / event.total : 0;
        if (bar.value === 1) said.textContent = check ? "Checking" : "Starting the import";
      };
      request.onerror = () => failed("The connection broke. Send it again; nothing of it was stored.");
      request.onload = () => {
        const told = request.response || {};
        if (request.status >= 300) { failed(told.detail || `HTTP status ${request.status}`); return; }
        bar.value = 1;
        const number = told.number || told.upload_id;
        const link = Object.assign(document.createElement("a"), { href: `/imports/${number}`, textContent: check ? "See what would happen" : "See the import" });
        said.replaceChildren(link);
        settled({ number });
      };
      function failed(why) {
        bar.remove();
        said.className = "fault";
        said.textContent = why;
        settled(null);
      }
      request.send(file);
    });
  }
}
function inBytes(count) {
  const units = ["bytes", "kB", "MB", "GB"];
  let at = 0;
  while (count >= 1000 && at < units.length - 1) { count /= 1000; at += 1; }
  return `${count.toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[at]}`;
}

// The table of rejects: arrows go from cell to cell, Enter stores, Ctrl-Z takes the last change back.
function correct(table) {
  const cells = () => $$("input[data-cell]", table);
  const said = $("#grid-said");
  async function store(input) {
    if (input.value === input.defaultValue) return true;
    const answer = await fetch(input.form.action, {
      method: "POST", body: new URLSearchParams(new FormData(input.form)),
      headers: { Accept: "application/json" },
    });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      input.setAttribute("aria-invalid", "true");
      said.textContent = told.detail || `Not stored: HTTP status ${answer.status}`;
      return false;
    }
    input.removeAttribute("aria-invalid");
    input.defaultValue = input.value;
    input.closest("tr").classList.add("corrected");
    said.textContent = told.said;
    for (const one of $$("[data-corrected]")) one.textContent = told.corrected.toLocaleString();
    for (const one of $$("[data-needs-corrections]")) one.disabled = !told.corrected;
    return true;
  }
  table.addEventListener("keydown", async (event) => {
    const input = event.target;
    if (!(input instanceof HTMLInputElement) || !input.dataset.cell) return;
    const all = cells();
    const at = all.indexOf(input);
    const end = input.selectionStart === input.value.length && input.selectionEnd === input.value.length;
    const start = input.selectionStart === 0 && input.selectionEnd === 0;
    let to = null;
    if (event.key === "ArrowDown" || (event.key === "ArrowRight" && end)) to = all[at + 1];
    if (event.key === "ArrowUp" || (event.key === "ArrowLeft" && start)) to = all[at - 1];
    if (event.key === "Escape") input.value = input.defaultValue;
    if (event.key === "Enter") {
      event.preventDefault();
      if (await store(input)) to = all[at + 1];
    }
    if (to) { event.preventDefault(); to.focus(); to.select(); }
  });
  table.addEventListener("change", (event) => { if (event.target.dataset.cell) store(event.target); });
  table.addEventListener("submit", (event) => {
    const input = $("input[data-cell]", event.target);
    if (input) { event.preventDefault(); store(input); }
  });
}

function shortcuts() {
  const find = $("#find");
  const undo = $("#undo-change");
  const help = $("#shortcuts");
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, textarea, select");
    const changed = typing && event.target.value !== event.target.defaultValue;
    const control = event.ctrlKey || event.metaKey;
    if (control && event.key.toLowerCase() === "f" && find) { event.preventDefault(); find.focus(); find.select(); }
    if (control && event.key.toLowerCase() === "z" && undo && !changed) { event.preventDefault(); undo.requestSubmit(); }
    if (event.key === "?" && !typing && help) { event.preventDefault(); help.showModal(); }
  });
  for (const one of $$("[data-opens]")) one.addEventListener("click", () => $(`#${one.dataset.opens}`).showModal());
}

document.documentElement.classList.add("with-script");
localize(document);
$$("[data-live]").forEach(follow);
$$("form.drop").forEach(takeFiles);
$$("[data-grid]").forEach(correct);
$$(".needs-script").forEach((one) => { one.hidden = false; });
shortcuts();
// Whoever comes from another page by a link hears and sees first what this one is.
if (document.referrer.startsWith(location.origin) && !location.hash) $("h1")?.focus({ preventScroll: true });
