// Native dialogs: the browser keeps the focus inside, closes them at Escape, and gives the focus back.
import { messageOf } from './app.js';
import { h, newId } from './dom.js';

interface Ask<T> {
  title: string;
  content: (Node | string)[];
  yes: string;
  danger?: boolean;
  /** What the dialog is for: done while it is open. It stays open and shows the error if that fails. */
  done: () => T | Promise<T>;
}

/** What was done, or undefined where it was called off. */
export function ask<T>({ title, content, yes, danger = false, done }: Ask<T>): Promise<T | undefined> {
  return new Promise((resolve) => {
    let answer: T | undefined;
    const titleId = newId('title');
    const problem = h('p', { class: 'problem', role: 'alert', hidden: true });
    const accept = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, yes);
    const form = h(
      'form',
      { method: 'dialog' },
      h('h2', { id: titleId }, title),
      ...content,
      problem,
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), accept),
    );
    const dialog = h('dialog', { 'aria-labelledby': titleId }, form);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void (async () => {
        accept.disabled = true;
        try {
          answer = await done();
          dialog.close();
        } catch (error) {
          problem.textContent = messageOf(error);
          problem.hidden = false;
          accept.disabled = false;
        }
      })();
    });
    dialog.addEventListener('close', () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export async function confirm(question: { title: string; text: string; yes: string }): Promise<boolean> {
  const { title, text, yes } = question;
  return (await ask({ title, content: [h('p', {}, text)], yes, danger: true, done: () => true })) ?? false;
}

/** Something to read. */
export function tell(title: string, content: Node): void {
  const titleId = newId('title');
  const dialog = h(
    'dialog',
    { 'aria-labelledby': titleId },
    h('form', { method: 'dialog' }, h('h2', { id: titleId }, title), content, h('div', { class: 'buttons' }, h('button', { class: 'primary' }, 'Close'))),
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
