// Where the console begins in a page.

import { createRoot } from 'react-dom/client'
import { App } from './app.tsx'
import './style.css'

const place = document.getElementById('console')
if (place === null) throw new Error('a page without a place for the console')
createRoot(place).render(<App />)
