// An address that leads nowhere.
import { Link } from '@tanstack/react-router';
import { useTranslation } from 'react-i18next';

export function NotFound() {
  const { t } = useTranslation();
  return (
    <div className="blank" role="alert">
      <p>{t('state/notFound')}</p>
      <Link to="/">{t('nav/overview')}</Link>
    </div>
  );
}
