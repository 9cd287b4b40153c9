// The document of a detection: one's own is edited in place, any other is read.
import { Suspense, lazy } from 'react';
import { useTranslation } from 'react-i18next';

import type { DetectionDetail } from '../../api/types';
import { Blank } from '../../components/Panel';
import { DocumentForm } from './DocumentForm';

const Editor = lazy(() => import('./Editor'));

export function DocumentView({ one }: { one: DetectionDetail }) {
  const { t } = useTranslation();
  if (one.origin === 'own') return <DocumentForm start={one.document} id={one.id} />;
  return (
    <>
      <p className="more more--top muted">{t('editor/readOnly')}</p>
      <Suspense fallback={<Blank>{t('state/loading')}</Blank>}>
        <Editor label={t('editor/label')} text={one.document} mode="read" fields={[]} onText={() => {}} />
      </Suspense>
    </>
  );
}
