// What the theme's HTML lacks for the keyboard and for screen readers.
function name(selector, label) {
  document.querySelector(selector)?.setAttribute('aria-label', label);
}

// Whether there is more of a box to the right; custom.css shows it.
function mark(box) {
  box.classList.toggle('more', box.scrollLeft + box.clientWidth < box.scrollWidth - 1);
}

// A formula in a line scrolls where it is wider than the text. And what scrolls sideways shows it,
// and can be reached, and so scrolled, with the keyboard.
function reach() {
  const width = document.querySelector('article').clientWidth;
  for (const formula of document.querySelectorAll('span.math')) {
    formula.classList.toggle('wide', formula.firstElementChild?.getBoundingClientRect().width > width);
  }
  for (const box of document.querySelectorAll('pre, div.math, span.math, .table-wrapper')) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute('tabindex');
    mark(box);
    box.onscroll = () => mark(box);
  }
}

addEventListener('DOMContentLoaded', () => {
  name('.sidebar-drawer', 'Pages of the course');
  name('.toc-drawer', 'Sections of this page');
});
addEventListener('load', async () => {
  await window.MathJax?.startup?.promise;
  reach();
});
addEventListener('resize', reach);
addEventListener('toggle', reach, true);  // a folded cell has no width
