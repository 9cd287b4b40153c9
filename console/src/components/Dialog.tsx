// A dialog: titled, closed by Escape, its button or a click beside it; focus stays inside.
import { Modal } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTranslation } from 'react-i18next';

interface Props {
  state: 'open' | 'closed';
  title: string;
  size?: 'md' | 'lg';
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ state, title, size = 'md', onClose, children }: Props) {
  const { t } = useTranslation();
  return (
    <Modal.Root opened={state === 'open'} onClose={onClose} size={size} centered transitionProps={{ duration: 0 }}>
      <Modal.Overlay />
      <Modal.Content>
        {/* Not Modal.Header: that is a <header>, which would be a second banner of the page. */}
        <div className="dialog__head">
          <Modal.Title>{title}</Modal.Title>
          <Modal.CloseButton aria-label={t('frame/close')} />
        </div>
        <Modal.Body>{children}</Modal.Body>
      </Modal.Content>
    </Modal.Root>
  );
}
