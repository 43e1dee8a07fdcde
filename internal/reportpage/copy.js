// Shows the copy buttons, which need a script, and tells the result to screen readers.
(() => {
  const status = document.getElementById('status');
  for (const button of document.querySelectorAll('button[data-copy]')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      try {
        await navigator.clipboard.writeText(button.dataset.copy);
        status.textContent = 'Copied ' + button.dataset.copy;
        button.textContent = 'Copied';
      } catch {
        status.textContent = 'The browser refused to copy: select the text instead';
        button.textContent = 'Refused';
      }
    });
  }
})();
