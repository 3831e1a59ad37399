// A browser starts no worker for a page that was opened from a file. The search then runs its
// script in a hidden frame, which has the same messages.
"use strict";
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.queue = [];
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      const script = (text) => `<script>${text}<\/script>`;
      frame.srcdoc =
        script(
          "self.postMessage = (data) => parent.postMessage({ search: data }, '*');" +
            "self.importScripts = () => {};"
        ) + `<script src="${new URL(url, location.href)}"><\/script>`;
      addEventListener("message", (event) => {
        if (event.source === frame.contentWindow && event.data && "search" in event.data) {
          this.dispatchEvent(new MessageEvent("message", { data: event.data.search }));
        }
      });
      frame.addEventListener("load", () => {
        this.frame = frame;
        for (const data of this.queue.splice(0)) this.postMessage(data);
      });
      const start = () => document.body.append(frame);
      if (document.body) start();
      else addEventListener("DOMContentLoaded", start);
    }
    postMessage(data) {
      // The frame's own function leads back to here, see above.
      if (this.frame) window.postMessage.call(this.frame.contentWindow, data, "*");
      else this.queue.push(data);
    }
    terminate() {
      if (this.frame) this.frame.remove();
    }
  };
}
