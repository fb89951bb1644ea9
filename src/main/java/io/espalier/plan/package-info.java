/** From scores and a budget to who stays: allocation, alignment, the immutable keep-plan; and the cut, which copies bytes by that plan. */
package io.espalier.plan;
