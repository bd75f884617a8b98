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
    if (answer.status === 429) {
      await new Promise((done) => setTimeout(done, secondsToWait(answer.headers.get("Retry-After")) * 1000));
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
  const account = form.elements.account;
  let waiting = []; // files that are to be sent as soon as it is known whose they are
  zone.addEventListener("drop", (event) => { event.preventDefault(); sendAll([...event.dataTransfer.files]); });
  input.addEventListener("change", () => sendAll([...input.files]));
  account.addEventListener("change", () => { if (waiting.length && account.checkValidity()) sendAll(waiting); });
  form.addEventListener("submit", (event) => { event.preventDefault(); sendAll(waiting.length ? waiting : [...input.files]); });

  async function sendAll(files) {
    if (!files.length) return;
    if (!account.value || !account.checkValidity()) {
      waiting = files;
      account.focus();
      account.reportValidity();
      const names = files.map((one) => one.name).join(", ");
      list.replaceChildren(Object.assign(document.createElement("li"), { className: "waits", textContent: `${names}: say whose it is, and it is sent.` }));
      return;
    }
    waiting = [];
    $$(".waits", list).forEach((one) => one.remove());
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
    const wanted = { account: account.value, filename: file.name, check: String(check), ...(feed && { feed }) };
    const told = {
      sent(bytes) {
        bar.value = file.size ? bytes / file.size : 1;
        said.textContent = bar.value < 1 ? `Sending, ${Math.floor(100 * bar.value)} %` : check ? "Checking" : "Starting the import";
      },
      again(seconds) { said.textContent = `The connection broke. It goes on in ${seconds} s.`; },
    };
    return (file.size > ONE_REQUEST ? sendInParts : sendWhole)(file, wanted, told).then((number) => {
      bar.value = 1;
      const link = Object.assign(document.createElement("a"), { href: `/imports/${number}`, textContent: check ? "See what would happen" : "See the import" });
      said.replaceChildren(link);
      return { number };
    }, (why) => {
      bar.remove();
      said.className = "fault";
      said.textContent = why.message;
      return null;
    });
  }
}

const ONE_REQUEST = 8 * 1024 * 1024; // larger files are sent so that they go on after a break
const PART = 16 * 1024 * 1024;
function sendWhole(file, wanted, told) {
  const { account, filename, ...query } = wanted;
  const path = `/api/v1/uploads/${account}/${encodeURIComponent(filename)}?${new URLSearchParams(query)}`;
  return request("PUT", path, {}, file, told.sent).then((answer) => {
    if (answer.status === 0) throw new Error("The connection broke. Send it again; nothing of it was stored.");
    return answer.told.number || answer.told.upload_id;
  });
}

// By tus 1.0.0. Where a file goes on is remembered, so that it does after the page was left, too.
async function sendInParts(file, wanted, told) {
  const base64 = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const tus = { "Tus-Resumable": "1.0.0" };
  const key = `upload ${Object.values(wanted).join("/")} ${file.size} ${file.lastModified}`;
  let place = localStorage.getItem(key);
  let at = 0;
  let broken = 0;
  if (place) {
    const answer = await request("HEAD", place, tus).catch(() => ({ status: 404 }));
    if (answer.status === 200 && answer.offset < file.size) at = answer.offset;
    else if (answer.status !== 0) place = null;
  }
  while (!place || at < file.size) {
    let answer;
    if (!place) {
      const metadata = Object.entries(wanted).map(([name, text]) => `${name} ${base64(text)}`).join(",");
      answer = await request("POST", "/api/v1/tus", { ...tus, "Upload-Length": file.size, "Upload-Metadata": metadata });
      if (answer.status) { place = answer.location; localStorage.setItem(key, place); broken = 0; continue; }
    } else {
      const headers = { ...tus, "Upload-Offset": at, "Content-Type": "application/offset+octet-stream" };
      answer = await request("PATCH", place, headers, file.slice(at, at + PART), (bytes) => told.sent(at + bytes));
      if (answer.status) { at = answer.offset; broken = 0; continue; }
    }
    broken += 1;
    if (broken > 8) throw new Error("The connection broke. Choose the same file again: it goes on where it stopped.");
    const seconds = Math.min(30, 2 ** broken);
    told.again(seconds);
    await new Promise((done) => setTimeout(done, 1000 * seconds));
    const there = place && await request("HEAD", place, tus);
    if (there && there.status) at = there.offset;
  }
  localStorage.removeItem(key);
  return Number(place.split("/").pop());
}

const MOST_TRIES = 8; // of a request that is refused because there are too many
function secondsToWait(retryAfter) { return Number(retryAfter) || 1; }

// Status 0 says that the connection broke, or that the service is not there for a moment.
function request(method, path, headers, body, sent, left = MOST_TRIES) {
  return new Promise((settled, refused) => {
    const its = new XMLHttpRequest();
    its.open(method, path);
    its.setRequestHeader("X-CSRF-Token", csrf);
    for (const [name, value] of Object.entries(headers)) its.setRequestHeader(name, value);
    its.responseType = "json";
    if (sent) its.upload.onprogress = (event) => sent(event.loaded);
    its.onerror = () => settled({ status: 0 });
    its.onload = () => {
      const told = its.response || {};
      if (its.status === 429 && left > 1) setTimeout(() => request(method, path, headers, body, sent, left - 1).then(settled, refused), 1000 * secondsToWait(its.getResponseHeader("Retry-After")));
      else if (its.status === 429) refused(new Error("There are too many requests: it was refused each time. Choose the same file again in a minute."));
      else if ([409, 423, 502, 503, 504].includes(its.status) && method !== "PUT") settled({ status: 0 });
      else if (its.status === 401) refused(new Error("Your session has ended. Open this page again, log in, and choose the same file."));
      else if (its.status >= 300) refused(new Error(told.detail || `It was refused: HTTP status ${its.status}`));
      else settled({ status: its.status, told, location: its.getResponseHeader("Location"), offset: Number(its.getResponseHeader("Upload-Offset")) });
    };
    its.send(body);
  });
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
    for (const one of $$("[data-corrected]")) one.textContent = `${told.corrected.toLocaleString()} corrected ${told.corrected === 1 ? "row" : "rows"}`;
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
    if (control && event.key.toLowerCase() === "f" && find) { event.preventDefault(); find.closest("details").open = true; find.focus(); find.select(); }
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
for (const here of $$(".nav [aria-current]")) here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.clientWidth / 2;
// On a phone what is asked of a table is opened by who wants to ask something.
if (matchMedia("(max-width: 640px)").matches) $$("details.filter").forEach((one) => { one.open = false; });
// Whoever comes from another page by a link hears and sees first what this one is.
if (document.referrer.startsWith(location.origin) && !location.hash) $("h1")?.focus({ preventScroll: true });
