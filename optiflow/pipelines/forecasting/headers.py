"""What exports of sales call their columns, in English, German, French, Spanish, Italian, Portuguese and Polish.

What belongs here: headers of shops' and tills' exports, of public data sets and of forecasting libraries, in the order in
which they count where a file has several of them: numbers and codes before names. What does not: how a header is compared
(`optiflow.roles`; case, accents, blanks and punctuation do not count).
"""

DATES = (
    *("sale_date", "date_of_sale", "transaction_date", "business_date", "invoice_date", "order_date", "created_at"),
    *("ordered_at", "timestamp", "datetime", "date_time", "paid_at", "purchase_date"),
    *("datum", "tag", "verkaufsdatum", "buchungsdatum", "belegdatum", "bestelldatum"),
    *("jour", "date_de_vente", "date_vente", "date_commande"),
    *("fecha", "fecha_venta", "fecha_de_venta", "dia"),
    *("data", "data_vendita", "giorno", "data_venda", "data_da_venda"),
    *("data_sprzedazy", "dzien"),
)

STORES = (
    *("shop_id", "store_no", "store_number", "location_id", "branch_id", "branch_no", "outlet_id", "outlet"),
    *("filialnr", "filialnummer", "filiale", "laden", "markt", "geschaeft", "standort"),
    *("id_magasin", "code_magasin", "magasin", "point_de_vente", "boutique"),
    *("id_tienda", "tienda", "sucursal", "punto_de_venta"),
    *("id_negozio", "negozio", "punto_vendita"),
    *("id_loja", "loja", "filial"),
    *("id_sklepu", "sklep"),
    *("store_name", "shop_name", "location_name", "branch_name", "outlet_name"),
)
SERIES = ("unique_id", "series_id", "ts_id")
"""What forecasting libraries call a series, whatever it is of."""

ITEMS = (
    *("sku_id", "item_code", "item_no", "item_number", "product_code", "article_id", "article_no", "stock_code"),
    *("material", "material_number", "lineitem_sku", "variant_sku", "asin", "barcode", "ean", "gtin", "upc"),
    *("artikelnummer", "artikelnr", "artikel", "produkt", "warennummer"),
    *("code_article", "code_produit", "id_produit", "produit"),
    *("codigo_producto", "id_producto", "producto", "articulo"),
    *("codice_articolo", "prodotto", "articolo"),
    *("codigo_produto", "id_produto", "produto", "artigo"),
    *("kod_produktu", "indeks", "towar"),
    *("item_name", "product_name", "article_name", "lineitem_name", "bezeichnung"),
)

UNITS = (
    *("qty_sold", "quantity_sold", "unit_sales", "sales_qty", "sales_quantity", "sales_units", "daily_sales"),
    *("item_cnt_day", "lineitem_quantity", "order_quantity", "quantity_ordered"),
    *("absatz", "verkaufte_menge", "menge", "stueckzahl", "stueck", "anzahl"),
    *("quantite_vendue", "quantite", "qte", "ventes"),
    *("unidades_vendidas", "cantidad_vendida", "unidades", "cantidad", "ventas"),
    *("quantita_venduta", "quantita", "qta", "vendite"),
    *("quantidade_vendida", "quantidade", "qtd", "qtde", "vendas"),
    *("ilosc_sprzedana", "ilosc", "sprzedaz"),
)
REVENUES = (
    *("daily_sales", "net_sales", "sales_amount", "sales_value", "total_sales", "gross_sales", "takings"),
    *("umsatz", "nettoumsatz", "erloes"),
    *("chiffre_d_affaires", "chiffre_affaires", "ca_ht", "ventes"),
    *("ventas", "ingresos", "importe", "facturacion"),
    *("vendite", "ricavi", "fatturato", "incasso"),
    *("vendas", "receita", "faturamento"),
    *("sprzedaz", "obrot", "wartosc_sprzedazy"),
)
