// A page of patient data is not for ever. It covers itself and loads again as soon as the server says that something
// on it may no longer be shown, when somebody comes back to it, and after fifteen minutes; where nobody has touched
// it for as long, it stays covered until somebody does. Without JavaScript the page asks the browser to load it again.
"use strict";
(function () {
  const LIFE = 15 * 60 * 1000, SOON = 3000, HIDDEN = 5000;
  const root = document.documentElement;
  const address = document.querySelector("meta[name=live]").content;
  const back = document.querySelector("meta[name=back]");
  const loaded = Date.now();
  let touched = loaded, stream = null, hiding = 0, leaving = false;

  function cover() { root.classList.add("covered"); }
  function load() {
    if (back) window.location.replace(back.content); // what answered a form is not asked for twice
    else window.location.reload();
  }
  function renew() {
    if (leaving) return;
    leaving = true;
    cover();
    if (stream) stream.close();
    // A page that must be loaded over and over waits a little, covered.
    window.setTimeout(load, Math.max(0, loaded + SOON - Date.now()));
  }
  function watch() {
    if (leaving || stream) return;
    stream = new EventSource(address);
    stream.onopen = function () { if (!leaving) root.classList.remove("covered"); };
    stream.onmessage = renew;
    stream.onerror = function () {
      if (stream && stream.readyState === EventSource.CLOSED) { // an answer that is no stream
        stream = null;
        window.setTimeout(watch, SOON + Math.random() * SOON);
      }
    };
  }
  function unwatch() {
    if (stream) stream.close();
    stream = null;
  }
  function old() {
    if (Date.now() - touched < LIFE) { renew(); return; }
    leaving = true;
    unwatch();
    cover();
    root.classList.add("resting");
    ["pointerdown", "keydown", "touchstart"].forEach(function (name) {
      window.addEventListener(name, load, { once: true });
    });
  }

  window.addEventListener("pageshow", function (event) { if (event.persisted) renew(); });
  ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"].forEach(function (name) {
    window.addEventListener(name, function () { touched = Date.now(); }, { passive: true });
  });
  document.addEventListener("visibilitychange", function () {
    window.clearTimeout(hiding);
    if (document.hidden) { // a page that nobody sees gives its connection back, and covers itself
      hiding = window.setTimeout(function () { cover(); unwatch(); }, HIDDEN);
    } else if (Date.now() - loaded > LIFE) renew();
    else watch();
  });
  window.setTimeout(old, LIFE);
  if (!document.hidden) watch();
})();
