// A page of patient data grows old: after fifteen minutes, or on coming back to it, it covers itself
// and loads again. Without JavaScript the page asks the browser to load it again.
"use strict";
(function () {
  const LIFE = 15 * 60 * 1000;
  const loaded = Date.now();
  function renew() {
    document.documentElement.classList.add("covered");
    window.location.reload();
  }
  window.addEventListener("pageshow", function (event) {
    if (event.persisted) renew();
  });
  document.addEventListener("visibilitychange", function () {
    if (!document.hidden && Date.now() - loaded > LIFE) renew();
  });
  window.setTimeout(renew, LIFE);
})();
