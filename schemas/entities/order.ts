import { defineEntity } from './entity.ts';
import { amount, day, moment, personal, reference, text } from './fields.ts';

export const order = defineEntity({
  name: 'order',
  description: 'What a customer has ordered, and how far its delivery is.',
  shape: 'profile',
  fields: {
    number: text('Number that the customer knows.', { classification: 'identifier' }),
    status: text('Draft, placed, paid, cancelled …'),
    total: amount('Sum with taxes.'),
    currency: text('ISO 4217 code of the amounts.'),
    orderDate: day('Day of the order.'),
    placedAt: moment('When it was placed.'),
    account: reference('Account that ordered.'),
    contact: reference('Person who ordered.'),
    fulfilmentStatus: text('Open, packed, shipped, delivered, returned.', { live: true }),
    carrier: text('Who delivers.'),
    trackingNumber: text('Number of the parcel.'),
    shippedAt: moment('When it was handed to the carrier.'),
    deliveredAt: moment('When it arrived.'),
    shippingStreet: personal('Street and house number of the delivery.'),
    shippingCity: personal('City of the delivery.'),
    shippingPostalCode: personal('Postal code of the delivery.'),
    shippingCountry: personal('Country of the delivery.'),
  },
  identifiers: { number: 'order-number' },
  references: { account: 'account', contact: 'contact' },
});

export const orderLine = defineEntity({
  name: 'order_line',
  description: 'One position of an order.',
  shape: 'profile',
  fields: {
    order: reference('Order that it belongs to.'),
    product: reference('Product that was ordered.'),
    deal: reference('Deal that it belongs to, where there is no order yet.'),
    position: text('Number of the position.'),
    name: text('Name of the product at the time.'),
    sku: text('Stock keeping unit at the time.'),
    quantity: amount('How many.'),
    unitPrice: amount('Price of one.'),
    discount: amount('Discount on the position.'),
    total: amount('Sum of the position.'),
    fulfilledQuantity: amount('How many have been delivered.'),
  },
  identifiers: {},
  references: { order: 'order', product: 'product', deal: 'deal' },
});
